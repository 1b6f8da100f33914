/// Holds the votes of a round back while its members' own commands run: all members are dumped (or restored), nobody
/// has voted, and everything can still be undone. The client runs the commands; its silence ends the round. Pure; one
/// thread.
///
///   gathering ──every member's hook has come──► running ──every member with commands reports success──► done
///
/// A round without such commands is done from the start, and loses no time here.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "common/clock.hpp"

namespace lockstep::broker {

/// A client whose commands run says so each second. One that has not been heard for so long is gone.
inline constexpr milliseconds kClientSilence{5'000};

class CommandHold {
 public:
  /// For each member of the round, whether it has commands at the frozen point.
  explicit CommandHold(std::vector<bool> has_commands);

  /// The member has come to its vote. True when it is the last one: the commands are to run.
  [[nodiscard]] bool arrived(std::size_t place, TimePoint now);
  /// The client lives.
  void heard(TimePoint now);
  /// The member's commands have succeeded. True when nothing is held back any more. A success that comes before its
  /// time, again, or for a member without commands changes nothing.
  [[nodiscard]] bool succeeded(std::size_t place, TimePoint now);

  [[nodiscard]] bool running() const { return state_ == State::running; }
  [[nodiscard]] bool done() const { return state_ == State::done; }
  /// When the client's silence has lasted too long; none unless running.
  [[nodiscard]] std::optional<TimePoint> deadline() const;

 private:
  enum class State { gathering, running, done };
  State state_ = State::gathering;
  std::vector<bool> waits_for_;  ///< members whose commands have not succeeded
  std::vector<bool> arrived_;
  std::size_t missing_ = 0;   ///< members that have not arrived
  std::size_t commands_ = 0;  ///< members in `waits_for_`
  TimePoint last_heard_{};
};

}  // namespace lockstep::broker
