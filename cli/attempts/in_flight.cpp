#include "cli/attempts/in_flight.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/files.hpp"
#include "cli/scan/proc_scan.hpp"

namespace lockstep::cli {
namespace {

/// A runtime has CRIU log every step, and the lines that tell are the last ones.
constexpr std::size_t kLogTail = 1U << 20;

/// The hexadecimal number behind `words`, with or without 0x.
std::uint64_t number_behind(std::string_view line, std::string_view words) {
  line.remove_prefix(line.find(words) + words.size());
  if (line.starts_with("0x")) line.remove_prefix(2);
  std::uint64_t number = 0;
  std::from_chars(line.data(), line.data() + line.size(), number, 16);
  return number;
}

/// The words that CRIU has for un-accepted connections of each kind, and whether --skip-in-flight silences them.
struct Words {
  std::string_view text;
  bool tcp;
};
constexpr std::array<Words, 3> kWords{{{"In-flight connection (l) for ", true},
                                       {"Non-empty write queue on an in-flight socket ", false},
                                       {"Found a closed in-flight socket to ", false}}};

}  // namespace

DumpFailure dump_failure(std::string_view log) {
  // CRIU stops at the first thing that it can't save. What it has complained of before did not stop it, and what
  // follows is how it ends: its hook's network-unlock, too, which may say no as well.
  bool complained = false;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    if (line.find("Error (") == std::string_view::npos) continue;
    for (const Words& words : kWords) {
      if (line.find(words.text) == std::string_view::npos) continue;
      return {DumpFailure::Why::in_flight, words.tcp, number_behind(line, words.text)};
    }
    // "exited, status=1" goes before it, and does not say who.
    if (line.find("action-scripts.c") != std::string_view::npos) {
      return {complained ? DumpFailure::Why::other : DumpFailure::Why::followed};
    }
    const bool harmless = line.find("Can't setup RLIMIT_NOFILE for self") != std::string_view::npos ||
                          line.find("exited, status=") != std::string_view::npos;
    complained = complained || !harmless;
  }
  return {};
}

std::string InFlight::text() const {
  std::string text = tcp ? "un-accepted connections at its listener " : "un-accepted connections at a unix socket";
  if (tcp) text += listener.empty() ? "(socket " + std::to_string(inode) + ", gone since)" : listener;
  if (pid == 0) return text;
  return text + " (process " + std::to_string(pid) + " (" + process + "), descriptor " + std::to_string(fd) + ")";
}

std::vector<InFlight> only_in_flight(const RoundOutcome& outcome, const std::vector<DumpFailure>& failures) {
  const RoundStatus& status = outcome.status;
  if (status.operation != Operation::dump || status.state != RoundState::aborted) return {};
  if (outcome.interrupted || !outcome.broker_lost.empty()) return {};
  // One at the end may have been to undo what the first one did: nobody knows how things stand.
  const auto commands_failed = [](const MemberStatus& member) {
    return std::ranges::any_of(member.commands, [](const CommandResult& command) { return !command.ok; });
  };
  if (std::ranges::any_of(status.members, commands_failed)) return {};
  std::vector<InFlight> found;
  bool culprit = false;
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    const MemberRun& run = outcome.runs[i];
    if (!run.exit || run.exit->signal != 0 || failures[i].why == DumpFailure::Why::other) return {};
    if (failures[i].why != DumpFailure::Why::in_flight) continue;
    culprit = culprit || status.members[i].id == status.culprit;
    found.push_back({status.members[i].id, failures[i].tcp, failures[i].inode, {}, 0, {}, -1});
  }
  // Somebody may have ended the round for a reason of his own a moment before.
  return culprit ? found : std::vector<InFlight>{};
}

std::vector<DumpFailure> read_failures(const RoundPlan& plan, const RoundOutcome& outcome) {
  std::vector<DumpFailure> failures(plan.commands.size());
  if (outcome.status.state != RoundState::aborted) return failures;
  for (std::size_t i = 0; i < failures.size(); ++i) {
    if (const auto log = read_tail(plan.commands[i].log, kLogTail)) failures[i] = dump_failure(*log);
  }
  return failures;
}

void find_listeners(const std::vector<ReadyMember>& members, std::vector<InFlight>& found) {
  if (found.empty()) return;
  const ProcessList processes = list_processes();
  for (InFlight& each : found) {
    const auto ready = std::ranges::find(members, each.member, [](const ReadyMember& one) { return one.member->id; });
    if (ready == members.end()) continue;
    const auto tree = scan_tree(processes, ready->pid, {});
    if (!tree) continue;
    for (const ProcessFacts& process : tree->processes) {
      const auto file = std::ranges::find_if(
          process.files, [&](const OpenFile& one) { return one.kind == FileKind::socket && one.inode == each.inode; });
      if (file == process.files.end() || each.pid != 0) continue;
      each.pid = process.pid;
      each.process = process.name;
      each.fd = file->fd;
      if (file->socket) each.listener = file->socket->local;
    }
  }
}

}  // namespace lockstep::cli
