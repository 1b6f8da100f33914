/// Attackers of a daemon's socket: processes of their own, which hold connections and send what no friend would, and
/// count what becomes of it. Loopback and unix sockets only; bounded in number, and gone with their owner.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "tests/bench/child.hpp"

namespace lockstep::hostile {

/// What sanitizers add to time and memory, of the daemons too: all are built alike.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LOCKSTEP_SANITIZED
#endif
#endif
#if defined(LOCKSTEP_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSanitizerFactor = 8;
#else
inline constexpr int kSanitizerFactor = 1;
#endif

/// A port of 127.0.0.1, or a unix socket's path.
using Target = std::variant<std::uint16_t, std::string>;

/// What one attacker does. It opens its connections anew as they are closed on it.
struct Plan {
  std::size_t connections = 1;  ///< held at the same time
  std::size_t opens_per_second = 2'000;
  std::vector<std::string> openings{};  ///< sent at once, one on each connection in turn
  std::size_t hears = 0;                ///< bytes that the peer has to say before anything of what follows is sent
  std::string then{};                   ///< sent once
  std::string drip{};                   ///< then sent byte by byte, one each `pause`
  milliseconds pause{100};
  std::vector<std::string> flood{};  ///< then sent again and again, as fast as the peer reads
  bool reads = false;                ///< takes what the peer answers, rather than letting it pile up
};

/// Written by the attacker, read by its owner.
struct Tally {
  std::atomic<std::uint64_t> opened{0};   ///< connections that were made
  std::atomic<std::uint64_t> dropped{0};  ///< of those, closed by the peer
  std::atomic<std::uint64_t> held{0};     ///< open now
  std::atomic<std::uint64_t> bytes{0};    ///< sent
};

class Attack {
 public:
  /// Forks: for a process of one thread.
  Attack(const Target& target, const Plan& plan);
  Attack(const Attack&) = delete;
  Attack& operator=(const Attack&) = delete;
  ~Attack();

  [[nodiscard]] const Tally& tally() const { return *tally_; }

 private:
  Tally* tally_;  ///< in memory that both processes share
  bench::Child child_;
};

/// Ways to attack the broker's ROUTER.
[[nodiscard]] Plan slow_loris();                      ///< a greeting, byte by byte
[[nodiscard]] Plan silent(std::size_t connections);   ///< connections on which nothing is ever said
[[nodiscard]] Plan greeted(std::size_t connections);  ///< the same behind a whole handshake
[[nodiscard]] Plan garbage();                         ///< in the place of a greeting
[[nodiscard]] Plan announced_gigabyte();              ///< a handshake, then the header of a frame of 1 GiB
[[nodiscard]] Plan nonsense();                        ///< a handshake, then messages that are none
[[nodiscard]] Plan questions();                       ///< one client that asks without end, and reads no answer
[[nodiscard]] Plan large_messages();                  ///< one peer whose every message nearly fills a frame
/// And its PUB: subscriptions to ever other topics, longer and longer ones.
[[nodiscard]] Plan subscriptions();

/// Ways to attack an agent's unix socket.
[[nodiscard]] Plan half_frames();
[[nodiscard]] Plan announced_frame();
[[nodiscard]] Plan nonsense_frames();

}  // namespace lockstep::hostile
