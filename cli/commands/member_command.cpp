#include "cli/commands/member_command.hpp"

#include <algorithm>

#include "cli/text_table.hpp"

namespace lockstep::cli {

milliseconds longest(const std::vector<MemberCommand>& commands, CommandMoment moment) {
  milliseconds sum{};
  for (const MemberCommand& command : commands) sum += command.moment == moment ? command.timeout : milliseconds(0);
  return sum;
}

bool any(const std::vector<MemberCommand>& commands, CommandMoment moment) {
  return std::ranges::any_of(commands, [&](const MemberCommand& command) { return command.moment == moment; });
}

std::string commands_text(const std::vector<CommandResult>& commands, bool outputs) {
  std::string text;
  for (const CommandResult& result : commands) {
    text += "command (" + std::string(to_string(result.moment)) + ") `" + printable(result.command, 120) +
            "`: " + (result.ok ? "ok" : "FAILED") + ", " + std::to_string(result.duration_ms) + " ms\n";
    if (result.ok && !outputs) continue;
    for (std::size_t at = 0; at < result.output.size();) {
      const std::size_t end = std::min(result.output.find('\n', at), result.output.size());
      text += "    " + printable(std::string_view(result.output).substr(at, end - at)) + "\n";
      at = end + 1;
    }
  }
  return text;
}

}  // namespace lockstep::cli
