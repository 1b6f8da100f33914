/// One connection of lockstep-traffic: sends numbered frames and verifies those of the other end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "tests/app/frame.hpp"

namespace lockstep::traffic {

using Clock = std::chrono::steady_clock;

/// Owns a connected, non-blocking socket. Not told to the event loop: the loop asks what the connection waits for.
///
/// A connection ends well in one way only: both ends have sent a goodbye frame, and both have read the other's up to
/// the end of the stream. Everything else (reset, end of stream, a timeout of TCP) is a failure, and stays one.
class Connection {
 public:
  enum class State { open, finished, failed };

  /// `number` is 0 on the server's side, until the client's first frame tells it. `rate`: frames a second, 0: no limit.
  Connection(Fd socket, Side side, std::uint32_t number, std::uint64_t rate);

  void on_readable(Clock::time_point now);
  void on_writable(Clock::time_point now);
  /// Sends no more than what is under way, then the goodbye.
  void say_goodbye() { leaving_ = true; }
  void reset_pause() { longest_pause_ = {}; }

  [[nodiscard]] int fd() const { return socket_.get(); }  ///< -1 once the connection is over
  [[nodiscard]] bool wants_to_write(Clock::time_point now) const;
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool healthy() const { return state_ != State::failed && verifier_.counters().clean(); }

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] const std::string& local() const { return local_; }  ///< "10.0.0.1:80", "[fd00::1]:80"
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] std::uint64_t sent() const { return sequence_; }
  [[nodiscard]] const StreamCounters& counters() const { return verifier_.counters(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  /// The longest time between two messages received one after the other, since the last reset_pause().
  [[nodiscard]] Clock::duration longest_pause() const { return longest_pause_; }

 private:
  void fill(Clock::time_point now);
  [[nodiscard]] std::uint64_t allowance(Clock::time_point now) const;
  void fail(const std::string& why);
  void finish_when_both_left();

  Fd socket_;
  Side side_;
  std::uint32_t number_;
  std::uint64_t rate_;
  std::string local_, peer_;
  State state_ = State::open;
  std::string error_;

  Clock::time_point started_ = Clock::now();
  std::uint64_t sequence_ = 0;  ///< of the newest frame put into out_
  std::vector<std::byte> out_;  ///< bounded: filled again only when it has been sent
  std::size_t out_at_ = 0;      ///< how much of it the kernel has taken
  bool leaving_ = false;
  bool goodbye_queued_ = false;
  bool write_closed_ = false;
  bool read_closed_ = false;

  StreamVerifier verifier_;
  Clock::time_point last_message_ = Clock::now();
  Clock::duration longest_pause_{};
};

}  // namespace lockstep::traffic
