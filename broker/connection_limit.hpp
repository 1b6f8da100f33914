/// How many connections a broker takes, and what becomes of those beyond.
///
/// libzmq accepts until the process has no descriptor left, and then tries again without a pause: what waits in the
/// listener's queue keeps it readable. The limit is therefore the process's own (RLIMIT_NOFILE), and what comes beyond
/// it is accepted and closed at once, so that nobody waits and nothing spins. Unbinding for a while would not do: it
/// closes what has been accepted before (libzmq issue 3317).
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

/// Descriptors of a broker: two connections for each of 4,096 agents, as many again for others, and some files.
inline constexpr std::size_t kMaxDescriptors = 16'384 + 128;

/// Sets this process's limit, up or down, as near to `wanted` as its hard limit lets it; returns what it is now.
[[nodiscard]] Result<std::size_t> limit_descriptors(std::size_t wanted);

/// Turns connections away while there is no room. One thread, and one of its own while it has work.
class ConnectionLimit {
 public:
  ConnectionLimit() = default;
  ConnectionLimit(const ConnectionLimit&) = delete;
  ConnectionLimit& operator=(const ConnectionLimit&) = delete;
  ~ConnectionLimit();

  /// Accepts and closes what waits at these listeners, until nobody comes for a moment. They must not block.
  void turn_away(std::vector<int> listeners);
  /// It is at that: libzmq, which tries as well, tells of each connection that it could not accept.
  [[nodiscard]] bool busy() const { return turning_; }

 private:
  std::atomic<bool> turning_{false};  ///< the thread has work to do
  std::thread doorman_;
  TimePoint next_complaint_;
};

}  // namespace lockstep::broker
