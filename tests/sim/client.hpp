/// The command line, as far as it matters to the protocol: opens rounds, tells how each CRIU has ended, and runs the
/// members' commands when all of them stand still. It repeats what has not been answered. Pure; one thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::sim {

class Client {
 public:
  /// `takes`: for each member of the plan, how long its commands run; the plan tells who has some.
  void open(RoundId round, GroupId group, OpenRound plan, std::vector<Duration> takes, TimePoint now);
  /// Told when the commands of a member end well, before anybody hears of it.
  std::function<void(const RoundId& round, const MemberId& member)> on_command_done;
  /// Whose commands will fail.
  void make_command_fail(const MemberId& member) { failing_.push_back(member); }
  /// Says nothing of commands until then: as if it were dead, and its CRIUs lived on.
  void mute_commands(TimePoint until) { commands_mute_until_ = until; }
  void heal();
  void tell_result(const RoundId& round, const MemberId& member, bool ok, TimePoint now);
  void abort(const RoundId& round, TimePoint now);

  void on_message(const Message& message);
  [[nodiscard]] std::vector<Message> on_time(TimePoint now);
  [[nodiscard]] TimePoint next_deadline() const;
  /// Nothing of it is unanswered, and no command waits or runs.
  [[nodiscard]] bool idle() const {
    return opening_.empty() && results_.empty() && aborts_.empty() && commands_.empty();
  }
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

  /// The commands of one member at the frozen point.
  struct Command {
    RoundId round;
    MemberId member;
    Duration takes{};
    bool wanted = false;  ///< the broker has said that all members stand still
    std::optional<TimePoint> ends;
    std::optional<CommandState> ended;
  };
  void take_status(const Message& message, const RoundStatus& status);
  void say_commands(TimePoint now, std::vector<Message>& messages);

  bool welcome_ = false;
  TimePoint next_;
  std::uint64_t sequence_ = 0;
  std::vector<Opening> opening_;
  std::vector<Result> results_;
  std::vector<RoundId> aborts_;
  std::vector<Command> commands_;
  std::vector<MemberId> failing_;
  TimePoint commands_mute_until_{};
  std::vector<RoundId> opened_;
};

}  // namespace lockstep::sim
