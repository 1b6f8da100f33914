#include "cli/report.hpp"

#include <algorithm>

#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

/// CRIU's own time for the column in the middle: how long the tree stood still, or how long its restore took.
std::string criu_time(const CriuTimes& times) {
  if (times.dump) return in_ms(times.dump->frozen.count());
  if (times.restore) return in_ms(times.restore->restoring.count());
  return "-";
}

std::string table_text(const Report& report) {
  const RoundStatus& status = report.outcome.status;
  const bool dump = status.operation == Operation::dump;
  TextTable table({"member", "arrived", "locked", dump ? "frozen" : "criu", dump ? "dumped" : "restored", "released",
                   "unlocked", "sockets", "criu's end"});
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    const MemberStatus& member = status.members[i];
    const MemberRun& run = report.members[i].run;
    const auto& phases = member.phases;
    const std::int64_t unlocked = member.unlocked_us >= 0 ? member.unlocked_us : phases[3].ready_us;
    table.add({member.id.value, in_ms(phases[0].arrived_us), in_ms(phases[1].ready_us),
               criu_time(report.members[i].times), in_ms(phases[2].arrived_us), in_ms(phases[2].released_us),
               in_ms(unlocked), std::to_string(member.sockets),
               run.ok() ? "ok" : (run.exit ? run.exit->text() : "not started")});
  }
  const std::string note = dump ? "frozen: CRIU's own measure of how long the tree stood still"
                                : "criu: CRIU's own measure of the whole restore";
  return table.text() + "(milliseconds since the round was opened; " + note + ")\n";
}

std::string part(const FrozenSplit::Time& time) { return time ? in_ms(time->count()) : "?"; }

std::string frozen_text(const Report& report) {
  const auto splits = split_frozen(report);
  if (std::ranges::none_of(splits, [](const FrozenSplit& split) { return split.still.has_value(); })) return {};
  const bool commands = report.outcome.status.hold_begin_us >= 0;
  std::vector<std::string> header{"stood still", "ms", "freezing", "memory", "criu's rest", "others"};
  if (commands) header.emplace_back("commands");
  header.insert(header.end(), {"hooks", "lock", "barriers"});
  TextTable table(std::move(header));
  for (std::size_t i = 0; i < splits.size(); ++i) {
    const FrozenSplit& split = splits[i];
    std::vector<std::string> row{report.outcome.status.members[i].id.value, part(split.still), part(split.freezing),
                                 part(split.memory), part(split.rest), part(split.others)};
    if (commands) row.push_back(part(split.commands));
    row.insert(row.end(), {part(split.hooks), part(split.lock), part(split.barriers)});
    table.add(std::move(row));
  }
  return table.text() + "(others: waiting for other members' CRIUs; hooks, lock, barriers: lockstep's own time)\n";
}

std::string indented(const std::string& text) {
  std::string result = "  ";
  for (const char c : text) result += c == '\n' ? "\n  " : std::string(1, c);
  return result;
}

/// In an aborted round every CRIU fails, and all but one only because they were told to: those get one line.
bool only_followed(const RoundStatus& status, const MemberStatus& member) {
  return status.state == RoundState::aborted && member.id != status.culprit;
}

std::string failures_text(const Report& report) {
  const RoundStatus& status = report.outcome.status;
  std::string text;
  for (std::size_t i = 0; i < report.members.size(); ++i) {
    const MemberReport& member = report.members[i];
    if (member.run.ok()) continue;
    const bool brief = only_followed(status, status.members[i]);
    text += "member \"" + status.members[i].id.value + "\": criu ended " +
            (brief ? "with the round" : "with an error") +
            (member.log.empty() ? " on node " + member.node : "; its log is " + member.log) + "\n";
    if (!brief && !member.run.detail.empty()) text += indented(printable(member.run.detail)) + "\n";
  }
  return text;
}

/// A number and what it counts; nothing for none.
void append_count(std::string& text, std::uint64_t count, std::string_view what) {
  if (count == 0) return;
  text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(what);
}

/// What the member's sockets were, what a restore closed of them, what its agent cleared, what did not come back.
std::string connections_text(const RoundStatus& status) {
  std::string text;
  for (const MemberStatus& member : status.members) {
    const ConnectionCounts& counts = member.connections;
    std::string line;
    append_count(line, counts.internal, "internal");
    append_count(line, counts.internal_service, "internal through a Service");
    append_count(line, counts.external, "external");
    append_count(line, counts.ambiguous, "ambiguous");
    append_count(line, counts.orphaned, "orphaned");
    append_count(line, counts.half_open, "half open");
    append_count(line, counts.listening, "listening");
    append_count(line, counts.closed.closed, "closed by the restore");
    append_count(line, counts.closed.discarded_bytes, "unread bytes discarded with them");
    append_count(line, counts.closed.unsent_bytes, "unsent bytes discarded with them");
    if (!line.empty()) text += "member " + member.id.value + ": " + line + "\n";
    if (!member.commands.empty()) text += "member " + member.id.value + ":\n" + commands_text(member.commands, false);
    for (const std::string& note : member.notes) text += "member " + member.id.value + ": " + printable(note) + "\n";
  }
  for (const ConnectionDifference& difference : status.differences) {
    text += "differs: member " + difference.member.value + ": " + printable(difference.connection) + ": expected " +
            printable(difference.expected) + ", found " + printable(difference.found) + "\n";
  }
  return text;
}

std::string findings_text(const Report& report) {
  std::string text;
  for (const auto& [member, finding] : report.findings) {
    std::string added;
    for (const std::string& word : finding.options) added += (added.empty() ? "added " : " ") + word;
    text += "member " + member.value + ": " + (added.empty() ? "" : added + ": ") + printable(finding.text()) + "\n";
  }
  return text.empty() ? text : "\n" + text;
}

std::string archives_text(const Report& report) {
  std::string text;
  for (std::size_t i = 0; i < report.members.size(); ++i) {
    const MemberReport& member = report.members[i];
    for (const std::string& archive : member.archives) {
      text += "member " + report.outcome.status.members[i].id.value + ": node " + member.node + ": " +
              printable(archive) + "\n";
    }
  }
  return text.empty() ? text : "\n" + text;
}

/// All rounds, where there was more than one, and what to do when un-accepted connections had the last word.
std::string attempts_text(const Report& report) {
  std::string text;
  for (std::size_t i = 0; report.attempts.size() > 1 && i < report.attempts.size(); ++i) {
    const Attempt& attempt = report.attempts[i];
    text += "attempt " + std::to_string(i + 1) + " (round " + attempt.round.value +
            (attempt.skip_in_flight ? ", with --skip-in-flight" : "") + "): " + attempt.verdict;
    if (!attempt.in_flight.empty()) text += ": " + printable(attempt.reason);
    text += "\n";
  }
  if (report.attempts.empty()) return text;
  const Attempt& last = report.attempts.back();
  for (const InFlight& each : last.in_flight) {
    text +=
        "member \"" + each.member.value + "\": " + printable(each.text()) +
        ": CRIU can't save them. See why the application does not accept (is it stuck, or always behind?), or allow "
        "more attempts: in_flight_retries; ";
    text += each.tcp ? "where no member is a container, \"skip_in_flight: true\" leaves such connections out\n"
                     : "connect to it less often while it is checkpointed\n";
  }
  if (last.skip_in_flight && last.verdict == "committed") {
    text +=
        "dumped with --skip-in-flight: connections that waited to be accepted are in no image. A restore closes the "
        "ends "
        "that members have of them; anybody else finds them gone\n";
  }
  return text;
}

/// The verdict is one line; the rest of a longer reason stands above it, with its member.
std::string first_line(const std::string& text) { return printable(std::string_view(text).substr(0, text.find('\n'))); }

}  // namespace

RoundVerdict verdict_of(const RoundOutcome& outcome) {
  const bool all_ok =
      std::all_of(outcome.runs.begin(), outcome.runs.end(), [](const MemberRun& run) { return run.ok(); });
  if (outcome.status.state == RoundState::aborted) return RoundVerdict::aborted;
  if (outcome.status.state == RoundState::complete) return all_ok ? RoundVerdict::committed : RoundVerdict::failed;
  if (!outcome.broker_lost.empty()) return RoundVerdict::unknown;
  return outcome.status.state == RoundState::committed ? RoundVerdict::failed : RoundVerdict::unknown;
}

RoundVerdict verdict_of(const Report& report) {
  const RoundVerdict verdict = verdict_of(report.outcome);
  return verdict == RoundVerdict::committed && !report.proven ? RoundVerdict::failed : verdict;
}

ExitCode exit_code_of(RoundVerdict verdict) {
  if (verdict == RoundVerdict::committed) return kDone;
  return verdict == RoundVerdict::unknown ? kUnreachable : kFailed;
}

std::string_view to_string(RoundVerdict verdict) {
  switch (verdict) {
    case RoundVerdict::committed: return "committed";
    case RoundVerdict::failed: return "failed";
    case RoundVerdict::aborted: return "aborted";
    case RoundVerdict::unknown: return "unknown";
  }
  return "unknown";
}

std::string verdict_line(const Report& report) {
  const RoundStatus& status = report.outcome.status;
  const std::string what =
      std::string(to_string(status.operation)) + " round " + report.round.value + " of group " + report.group.value;
  const std::size_t count = status.members.size();
  const std::string facts = std::to_string(count) + (count == 1 ? " member, " : " members, ") +
                            std::to_string(report.outcome.duration.count()) + " ms";
  const std::string culprit = status.culprit.empty() ? "" : " (member " + status.culprit.value + ")";
  switch (verdict_of(report)) {
    case RoundVerdict::committed: return what + ": committed, " + facts;
    case RoundVerdict::failed: {
      std::string why = status.reason.empty() ? "not every member saw it through" : first_line(status.reason) + culprit;
      if (!report.proven) why = "its images don't fit together";
      return what + ": committed, but " + why + ", " + facts;
    }
    case RoundVerdict::aborted:
      if (!report.attempts.empty() && !report.attempts.back().in_flight.empty()) {
        return what + ": aborted: " + printable(report.attempts.back().reason) + ", " + facts;
      }
      return what + ": aborted: " + first_line(status.reason) + culprit + ", " + facts;
    case RoundVerdict::unknown: break;
  }
  const std::string why =
      report.outcome.broker_lost.empty() ? "the round did not end in time" : report.outcome.broker_lost;
  return what + ": not known: " + first_line(why) + ", " + facts;
}

std::vector<FrozenSplit> split_frozen(const Report& report) {
  std::vector<FrozenSources> sources;
  sources.reserve(report.members.size());
  for (const MemberReport& member : report.members) sources.push_back({member.times.dump, member.hooks});
  return split_frozen(report.outcome.status, sources);
}

std::string report_text(const Report& report, const TimelineStyle& style) {
  std::string text = table_text(report);
  if (const std::string timeline = draw_timeline(report.outcome.status, style); !timeline.empty())
    text += "\n" + timeline;
  if (const std::string frozen = frozen_text(report); !frozen.empty()) text += "\n" + frozen;
  if (const std::string failures = failures_text(report); !failures.empty()) text += "\n" + failures;
  if (const std::string connections = connections_text(report.outcome.status); !connections.empty()) {
    text += "\n" + connections;
  }
  if (!report.proof.empty()) text += "\n" + printable(report.proof) + "\n";
  text += archives_text(report) + findings_text(report);
  if (!report.after_restore.empty()) text += "\nNot as it was saved:\n";
  for (const auto& [member, difference] : report.after_restore) {
    text += "member " + member.value + ": " + printable(difference.text()) + "\n";
  }
  if (const std::string attempts = attempts_text(report); !attempts.empty()) text += "\n" + attempts;
  if (!report.notes.empty()) text += "\n";
  for (const auto& note : report.notes) text += printable(note) + "\n";
  return text + "\n" + verdict_line(report) + "\n";
}

}  // namespace lockstep::cli
