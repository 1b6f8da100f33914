#include "cli/preflight_command.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/criu_process.hpp"
#include "cli/exit_code.hpp"
#include "cli/report_json.hpp"
#include "cli/text_table.hpp"
#include "cli/tree_check.hpp"

namespace lockstep::cli {
namespace {

struct Examined {
  GroupFile group;  ///< the members point into it
  Preflight preflight;
};

Result<std::unique_ptr<Examined>> look(const std::string& file) {
  auto group = load_group_file(file);
  if (!group) return Failure(group.error());
  auto examined = std::make_unique<Examined>(Examined{std::move(*group), {}});
  auto preflight = preflight_checkpoint(examined->group);
  if (!preflight) return Failure(preflight.error());
  examined->preflight = std::move(*preflight);
  if (auto looked = examine_trees(examined->preflight.members); !looked) return Failure(looked.error());
  return examined;
}

}  // namespace

std::string preflight_text(const Preflight& preflight) {
  std::string text;
  std::size_t fatal = 0;
  for (const ReadyMember& ready : preflight.members) {
    for (const Finding& finding : ready.findings) {
      text += std::string(to_string(finding.severity)) + ": member " + ready.member->id.value + ": " +
              printable(finding.text()) + "\n";
    }
    fatal += any_fatal(ready.findings) ? 1 : 0;
  }
  for (const std::string& warning : preflight.warnings) text += "note: " + printable(warning) + "\n";
  const std::string count = std::to_string(preflight.members.size());
  const auto unseen = std::ranges::count_if(preflight.members, [](const auto& ready) { return ready.pid == 0; });
  const std::string but = unseen == 0 ? "" : "; the processes of " + std::to_string(unseen) + " on other machines were not looked at";
  if (fatal > 0) return text + std::to_string(fatal) + " of " + count + " members can't be dumped as they are\n";
  return text + "a checkpoint of " + (preflight.members.size() == 1 ? "the member" : "all " + count + " members") +
         " can be expected to work" + but + "\n";
}

int run_preflight_command(const PreflightOptions& options) {
  const auto held = hold_ending_signals();
  const auto examined = look(options.file);
  if (!examined) {
    const ExitCode code = exit_code_of(examined.error());
    std::fprintf(stderr, "lockstep: %s\n", examined.error().message().c_str());
    if (options.json) std::fputs(error_json(examined.error(), code).c_str(), stdout);
    return code;
  }
  const Preflight& preflight = (*examined)->preflight;
  const ExitCode code = check_examined(preflight.members) ? kDone : kFailed;
  std::fputs((options.json ? preflight_json(preflight, code) : preflight_text(preflight)).c_str(), stdout);
  return code;
}

}  // namespace lockstep::cli
