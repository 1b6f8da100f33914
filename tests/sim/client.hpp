/// The command line, as far as it matters to the protocol: opens rounds, and tells how each CRIU has ended. It repeats
/// what has not been answered. Pure; one thread.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::sim {

class Client {
 public:
  void open(RoundId round, GroupId group, OpenRound plan, TimePoint now);
  void tell_result(const RoundId& round, const MemberId& member, bool ok, TimePoint now);
  void abort(const RoundId& round, TimePoint now);

  void on_message(const Message& message);
  [[nodiscard]] std::vector<Message> on_time(TimePoint now);
  [[nodiscard]] TimePoint next_deadline() const { return idle() ? TimePoint::max() : next_; }
  /// Nothing of it is unanswered.
  [[nodiscard]] bool idle() const { return opening_.empty() && results_.empty() && aborts_.empty(); }
  /// It waits for the broker to say that a round is open.
  [[nodiscard]] bool opening() const { return !opening_.empty(); }
  /// Rounds that the broker has said to be open since the last call.
  [[nodiscard]] std::vector<RoundId> take_opened() { return std::exchange(opened_, {}); }

 private:
  struct Result {
    RoundId round;
    MemberId member;
    bool ok = false;
    TimePoint give_up;
  };
  struct Opening {
    Message message;
    TimePoint give_up;
  };

  bool welcome_ = false;
  TimePoint next_;
  std::uint64_t sequence_ = 0;
  std::vector<Opening> opening_;
  std::vector<Result> results_;
  std::vector<RoundId> aborts_;
  std::vector<RoundId> opened_;
};

}  // namespace lockstep::sim
