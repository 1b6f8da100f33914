/// Runs the members' own commands: those of one member one after another, those of different members side by side.
///
/// Nothing here waits: the round's loop polls add_to()'s descriptors and calls turn(). A command that outlives its
/// timeout counts as failed at once, gets SIGTERM with its whole process group, and SIGKILL two seconds later, also
/// where only its children are left.
#pragma once

#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "cli/commands/member_command.hpp"
#include "cli/criu_process.hpp"

namespace lockstep::cli {

class CommandRunner {
 public:
  /// `plan`: for each member of the round; it outlives this. May be empty: no member has any.
  explicit CommandRunner(const std::vector<PlannedCommands>& plan) : plan_(plan), tracks_(plan.size()) {}

  /// Begins with the commands of a moment; `more`: their environment besides the plan's. False: there are none.
  bool begin(CommandMoment moment, const std::vector<std::string>& more);
  /// Takes ends, starts what comes next, ends what takes too long.
  void turn();
  /// Ends what runs, in the way of a timeout. What has been running counts as failed with this reason.
  void stop(const std::string& reason);

  /// Commands run whose end has not been told.
  [[nodiscard]] bool busy() const;
  /// Processes are left, if only some that have been told to end.
  [[nodiscard]] bool any_process() const;
  /// A command of this moment has failed.
  [[nodiscard]] bool failed() const { return failed_; }
  /// Members whose commands run.
  [[nodiscard]] std::vector<std::size_t> running() const;

  struct Told {
    std::size_t member = 0;
    CommandReport report;
  };
  /// For members that are done since the last call.
  [[nodiscard]] std::vector<Told> take_reports();

  void add_to(std::vector<zmq::pollitem_t>& items) const;
  /// When turn() wants to be called although no process has ended.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

 private:
  /// One member's way through its commands of this moment.
  struct Track {
    std::size_t next = 0;  ///< of the member's list
    const MemberCommand* command = nullptr;
    std::optional<CriuProcess> process;
    std::string output;
    TimePoint started{};
    std::vector<CommandResult> results;
  };
  struct Dying {
    CriuProcess process;
    pid_t group = 0;
    TimePoint kill_at;
    bool killed = false;
    bool leader_ended = false;
  };

  void start_next(std::size_t member);
  void end(std::size_t member, bool ok, const std::string& how);
  void expire(std::size_t member, const std::string& how);
  void reap();

  const std::vector<PlannedCommands>& plan_;
  CommandMoment moment_ = CommandMoment::prepare;
  std::vector<std::string> environment_;
  std::vector<Track> tracks_;
  std::vector<Dying> dying_;
  std::vector<Told> told_;
  bool failed_ = false;
};

}  // namespace lockstep::cli
