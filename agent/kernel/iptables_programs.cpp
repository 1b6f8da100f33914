#include "agent/kernel/iptables_programs.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "agent/kernel/netns_command.hpp"

namespace lockstep {
namespace {

constexpr milliseconds kCommandLimit = seconds(5);

/// Empty when it is in no folder of PATH, nor in those where iptables lives and PATH often does not point.
std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders((path != nullptr ? path : "") + std::string(":/usr/sbin:/sbin"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

/// Runs one of the programs; what it prints. Its complaints become the error's text, on one line.
Result<std::string> run_program(const Fd& netns, const std::vector<std::string>& arguments, const std::string& input) {
  auto outcome = run_in_netns(netns, arguments, input, kCommandLimit);
  if (!outcome) return fail_from(outcome.error(), "iptables");
  if (outcome->exit_code == 0) return std::move(outcome->output);
  std::string operation = "run";
  for (const std::string& argument : arguments) operation += " " + argument;
  while (outcome->errors.ends_with('\n')) outcome->errors.pop_back();
  std::replace(outcome->errors.begin(), outcome->errors.end(), '\n', ' ');
  return fail(ErrorCode::system, operation + ": exit code " + std::to_string(outcome->exit_code), outcome->errors);
}

}  // namespace

Result<IptablesPrograms> find_iptables(IpFamily family, std::string_view flavour) {
  const std::string base = (family == IpFamily::v4 ? "iptables" : "ip6tables") + std::string(flavour);
  IptablesPrograms programs{find_program(base + "-restore"), find_program(base + "-save")};
  if (programs.restore.empty() || programs.save.empty())
    return fail(ErrorCode::not_found, "find " + base + "-restore and " + base + "-save", "install iptables");
  return programs;
}

Result<std::string> saved_filter_table(const Fd& netns, const IptablesPrograms& programs) {
  return run_program(netns, {programs.save, "-t", "filter"}, {});
}

Result<void> restore_rules(const Fd& netns, const IptablesPrograms& programs, const std::string& script) {
  auto output = run_program(netns, {programs.restore, "--noflush", "-w", "1"}, script);
  if (!output) return Failure(output.error());
  return {};
}

std::string declare_chains(std::span<const std::string_view> chains) {
  std::string text = "*filter\n";
  for (const std::string_view chain : chains) text += ":" + std::string(chain) + " - [0:0]\n";
  return text;
}

std::string delete_jumps(const std::string& saved, std::span<const std::string_view> chains) {
  std::string text;
  std::istringstream lines(saved);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("-A ")) continue;
    for (const std::string_view chain : chains)
      if (line.ends_with(" -j " + std::string(chain)) || line.ends_with(" -g " + std::string(chain)))
        text += "-D " + line.substr(3) + "\n";
  }
  return text;
}

bool has_chain(const std::string& saved, std::span<const std::string_view> chains) {
  return std::ranges::any_of(chains, [&](std::string_view chain) {
    return saved.find("\n:" + std::string(chain) + " ") != std::string::npos;
  });
}

Result<void> remove_chains(const Fd& netns, const IptablesPrograms& programs,
                           std::span<const std::string_view> chains) {
  auto saved = saved_filter_table(netns, programs);
  if (!saved) return Failure(saved.error());
  if (!has_chain(*saved, chains)) return {};
  std::string script = declare_chains(chains) + delete_jumps(*saved, chains);
  for (const std::string_view chain : chains) script += "-X " + std::string(chain) + "\n";
  return restore_rules(netns, programs, script + "COMMIT\n");
}

}  // namespace lockstep
