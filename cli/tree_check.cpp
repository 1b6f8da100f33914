#include "cli/tree_check.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cli/files.hpp"
#include "cli/scan/proc_scan.hpp"
#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

constexpr std::string_view kFileLocks = "--file-locks";

const std::vector<std::string>& given_options(const GroupMember& member) {
  return member.driver == Driver::podman ? member.podman_options : member.criu_options;
}

/// With what the member's runtime gives to CRIU by itself: runc and crun always let a terminal's master be outside.
std::vector<std::string> all_given(const GroupMember& member) {
  std::vector<std::string> options = given_options(member);
  if (member.driver == Driver::podman) options.emplace_back("--orphan-pts-master");
  return options;
}

/// Whether keep_options() has written it. The images come from elsewhere; no other word of theirs is to reach a CRIU
/// that runs as root. --ghost-limit and --link-remap are of a dump alone.
bool may_be_kept(std::string_view option) {
  return option == kFileLocks || option == "--ext-unix-sk" || option == "--shell-job";
}

/// An image that holds entries, not just its magic words.
bool has_entries(const std::string& image) {
  struct stat info {};
  return ::stat(image.c_str(), &info) == 0 && info.st_size > 8;
}

void add(std::vector<std::string>& options, const std::string& option) {
  if (std::ranges::find(options, option) == options.end()) options.push_back(option);
}

Result<void> read_kept(const ReadyMember& ready, std::vector<std::string>& options) {
  const std::string path = ready.images + "/" + std::string(kOptionsFile);
  const auto kept = read_file(path, 4096);
  if (!kept && kept.error().code == ErrorCode::not_found) return {};
  if (!kept) return fail_from(kept.error(), "member \"" + ready.member->id.value + "\"");
  std::istringstream lines(*kept);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (!may_be_kept(line)) {
      return fail(ErrorCode::invalid, "member \"" + ready.member->id.value + "\": " + path,
                  "has the line \"" + printable(line, 80) +
                      "\", which lockstep does not write; what CRIU needs besides belongs into criu_options");
    }
    add(options, line);
  }
  return {};
}

}  // namespace

std::vector<Finding> for_podman(std::vector<Finding> findings) {
  for (Finding& finding : findings) {
    if (finding.severity != Severity::option || finding.options.front() == kFileLocks) continue;
    std::string line;  // CRIU's configuration files leave the dashes out
    for (const std::string& word : finding.options) {
      line += (line.empty() ? "" : " ") + word.substr(std::min(word.find_first_not_of('-'), word.size()));
    }
    finding.severity = Severity::note;
    finding.remedy =
        "CRIU needs a line \"" + line + "\" in /etc/criu/runc.conf (or crun.conf), which Podman's runtime hands to it";
    finding.options.clear();
  }
  return findings;
}

Result<void> examine_trees(std::vector<ReadyMember>& members) {
  const ProcessList processes = list_processes();
  std::set<pid_t> all;
  for (const ReadyMember& ready : members) {
    if (ready.pid == 0) continue;
    for (const pid_t pid : tree_of(processes, ready.pid)) all.insert(pid);
  }
  for (ReadyMember& ready : members) {
    if (ready.pid == 0) continue;  // on another machine: its driver has said so
    const auto facts = scan_tree(processes, ready.pid, all);
    if (!facts) return fail_from(facts.error(), "member \"" + ready.member->id.value + "\"");
    auto findings = examine(*facts, all_given(*ready.member));
    if (ready.member->driver == Driver::podman) findings = for_podman(std::move(findings));
    // After what its driver has found.
    ready.findings.insert(ready.findings.end(), findings.begin(), findings.end());
    ready.more_options = options_of(ready.findings, false);
  }
  return {};
}

Result<void> check_examined(const std::vector<ReadyMember>& members) {
  std::string text;
  for (const ReadyMember& ready : members) {
    for (const Finding& finding : ready.findings) {
      if (finding.severity != Severity::fatal) continue;
      text += "\n  member \"" + ready.member->id.value + "\": " + finding.text();
    }
  }
  if (text.empty()) return {};
  return fail(ErrorCode::invalid, "nothing was frozen, since the dump would fail",
              "(--no-preflight tries it nevertheless)" + text);
}

Result<void> keep_options(const ReadyMember& ready) {
  if (ready.member->driver != Driver::criu) return {};  // its images folder is not there yet, or on its node
  const std::string path = ready.images + "/" + std::string(kOptionsFile);
  std::string text;
  for (const std::string& option : options_of(ready.findings, true)) text += option + "\n";
  return text.empty() ? remove_file(path) : replace_file(path, text);
}

Result<std::vector<std::string>> kept_options(const ReadyMember& ready) {
  std::vector<std::string> options;
  if (ready.member->driver != Driver::podman) {
    if (auto read = read_kept(ready, options); !read) return Failure(read.error());
  }
  // Without the option CRIU restores the files and not the locks, and says nothing.
  if (has_entries(ready.images + "/filelocks.img")) add(options, std::string(kFileLocks));
  const auto& given = given_options(*ready.member);
  std::erase_if(options, [&](const std::string& option) { return std::ranges::find(given, option) != given.end(); });
  return options;
}

}  // namespace lockstep::cli
