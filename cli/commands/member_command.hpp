/// A member's own commands, as GROUP.yaml names them: to flush, to snapshot a volume, to copy a data directory.
#pragma once

#include <string>
#include <vector>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

struct MemberCommand {
  CommandMoment moment = CommandMoment::frozen;
  bool on_dump = true;
  bool on_restore = false;
  std::vector<std::string> argv;
  std::string text;  ///< as people know it
  milliseconds timeout{30'000};
};

/// What one member's commands of one round need: those of the round's operation, in the file's order.
struct PlannedCommands {
  std::vector<MemberCommand> commands;
  std::vector<std::string> environment;  ///< NAME=value, in addition to our own
  std::string folder;                    ///< takes their output: command-MOMENT-NUMBER.out
};

/// How long a member's commands of one moment may take together; they run one after another.
[[nodiscard]] milliseconds longest(const std::vector<MemberCommand>& commands, CommandMoment moment);
[[nodiscard]] bool any(const std::vector<MemberCommand>& commands, CommandMoment moment);

/// One line for each command: "command (frozen) `cp -a …`: ok, 120 ms", with the end of its output below where it has
/// failed, or where `outputs` wants it.
[[nodiscard]] std::string commands_text(const std::vector<CommandResult>& commands, bool outputs);

}  // namespace lockstep::cli
