/// One round, as its client sees it: opens it at the broker, starts all CRIUs at once, tells the broker how each one
/// ended, and waits until the round is over and every CRIU has gone.
///
/// The loop knows four kinds of events: a message of the broker, the end of a CRIU, a signal, and the time. Nothing in
/// it can wait without an end:
///   - what the broker has not answered is sent again, after 200 ms first and each second in the end;
///   - a broker that says nothing for 5 s is lost: its hooks fail closed, and we wait for the CRIUs alone;
///   - a CRIU that outlives its round by 30 s is terminated, and killed 5 s later; what asks another machine for a
///   dump,
///     and whose member has not come before the round was over, 2 s after that;
///   - the members' own commands end with their timeouts, and with the round.
///
///   commands (prepare) -> CRIUs -> commands (frozen), when the broker says that all are dumped -> round over, CRIUs
///   ended; finish() -> commands (resume), whatever has become of the round
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/broker_client.hpp"
#include "cli/commands/command_runner.hpp"
#include "cli/criu_process.hpp"
#include "cli/display.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

struct RoundPlan {
  RoundId round;
  GroupId group;
  OpenRound open;
  std::vector<CriuCommand> commands;               ///< one for each of open.members, in their order
  std::vector<PlannedCommands> own_commands = {};  ///< the members' own, in the same order; empty: nobody has any
};

/// How long the driver waits; tests wait less.
struct RoundPatience {
  milliseconds answer{kAnswerLimit};      ///< for the broker's word
  milliseconds criu_after_round{30'000};  ///< for a CRIU whose round is over; in its dump: see dumps_until()
  milliseconds criu_after_term{5'000};    ///< for a CRIU that has got a SIGTERM
  milliseconds remote_unheard{2'000};     ///< for the answer to a request, when no hook has told that it was heard
  milliseconds archive{0};                ///< beyond criu_after_round, in a committed round: archives are packed then
};

/// How one member's CRIU went.
struct MemberRun {
  std::optional<ProcessExit> exit;  ///< none: it could not be started
  std::string detail;               ///< why it failed, out of its log; empty when it did not
  milliseconds ended{};             ///< since the round was opened
  [[nodiscard]] bool ok() const { return exit && exit->ok(); }
};

struct RoundOutcome {
  RoundStatus status;           ///< the newest that we have heard
  std::vector<MemberRun> runs;  ///< in the order of the plan's members
  milliseconds duration{};      ///< from the opening until all was over
  bool interrupted = false;     ///< by a signal
  std::string broker_lost;      ///< not empty: what became of the broker; `status` is then old
};

class RoundDriver {
 public:
  /// `signals`: what interrupts the round (common/signals.hpp), blocked before libzmq has made its threads.
  RoundDriver(BrokerClient& broker, const RoundPlan& plan, Display& display, const Fd& signals,
              RoundPatience patience = {})
      : broker_(broker),
        plan_(plan),
        display_(display),
        signals_(signals),
        patience_(patience),
        commands_(plan.own_commands) {}

  /// Opens the round. refused or unavailable: there is no round, and nothing has been started.
  [[nodiscard]] Result<void> open();
  /// Ends an opened round in which nothing has been started yet.
  void give_up(const std::string& reason);
  /// Runs commands and CRIUs of an opened round and sees it to its end.
  [[nodiscard]] RoundOutcome run();
  /// After run(), when it is known what the checkpoint is worth and the images are where the user wants them: runs the
  /// commands at the end, which are told `verdict`. Adds to the outcome what they have come to.
  void finish(RoundOutcome& outcome, std::string_view verdict);

 private:
  void turn();
  void start_all();
  void run_commands();
  void hear_out();
  void wait_for_event();
  void take_messages();
  void take_status(const Message& message);
  void take_refusal(const Message& answer, const Refused& refused);
  void take_ends();
  void take_signals();
  void on_time();
  void repeat_questions();
  void terminate(const std::string& why);
  void end_unheard();
  /// Until when CRIUs of an aborted round that are in their dump are left alone; past where there are none.
  [[nodiscard]] TimePoint dumps_until() const;
  void report_end(std::size_t index);
  void say(Body body, const MemberId& member);
  [[nodiscard]] Message message(Body body, const MemberId& member) const;
  [[nodiscard]] bool all_ended() const;
  [[nodiscard]] bool round_over() const;
  [[nodiscard]] bool finished() const;
  [[nodiscard]] milliseconds elapsed() const;
  /// When a round's last deadline must have passed.
  [[nodiscard]] milliseconds longest_round() const;

  BrokerClient& broker_;
  const RoundPlan& plan_;
  Display& display_;
  const Fd& signals_;
  RoundPatience patience_;

  TimePoint opened_{};
  TimePoint last_heard_{};
  TimePoint next_repeat_{};
  milliseconds repeat_after_{};
  RoundStatus status_;
  std::vector<std::optional<CriuProcess>> processes_;  ///< none: not started, or reaped
  std::vector<MemberRun> runs_;
  CommandRunner commands_;
  bool started_ = false;                    ///< CRIUs are, or will never be
  bool finishing_ = false;                  ///< nothing but the commands at the end is left
  bool held_ = false;                       ///< the commands at the frozen point have been begun
  std::vector<Message> unanswered_;         ///< results and aborts; kept until the broker has answered
  std::optional<TimePoint> waiting_since_;  ///< for CRIUs only: the round is over or the broker lost
  std::optional<TimePoint> terminated_;
  bool unheard_ended_ = false;  ///< see end_unheard()
  int signals_taken_ = 0;
  std::string lost_;        ///< see RoundOutcome::broker_lost
  bool forgotten_ = false;  ///< the broker is there, and does not know the round any more
  bool serial_told_ = false;
};

}  // namespace lockstep::cli
