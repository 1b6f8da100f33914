#include "cli/report_json.hpp"

#include <nlohmann/json.hpp>

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

Json time_json(std::int64_t microseconds) { return microseconds < 0 ? Json(nullptr) : Json(microseconds); }

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

/// Texts of logs and peers may hold any bytes: what is no UTF-8 is replaced, never thrown about.
std::string dump(const Json& json, bool compact) {
  return json.dump(compact ? -1 : 2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json phases_json(Operation operation, const MemberStatus& member) {
  Json phases = Json::object();
  for (std::size_t i = 0; i < kPhasesPerRound; ++i) {
    const PhaseTimes& times = member.phases[i];
    phases[std::string(to_string(phases_of(operation)[i]))] = {{"arrived_us", time_json(times.arrived_us)},
                                                               {"ready_us", time_json(times.ready_us)},
                                                               {"released_us", time_json(times.released_us)}};
  }
  return phases;
}

Json times_json(const CriuTimes& times) {
  if (times.dump) {
    return {{"freezing_us", times.dump->freezing.count()},
            {"frozen_us", times.dump->frozen.count()},
            {"memory_dump_us", times.dump->memory_dump.count()},
            {"memory_write_us", times.dump->memory_write.count()}};
  }
  if (times.restore) {
    return {{"forking_us", times.restore->forking.count()}, {"restoring_us", times.restore->restoring.count()}};
  }
  return nullptr;
}

Json time_json(const FrozenSplit::Time& time) { return time ? Json(time->count()) : Json(nullptr); }

Json split_json(const FrozenSplit& split) {
  return {{"still_us", time_json(split.still)},
          {"criu", {{"freezing_us", time_json(split.freezing)},
                    {"memory_us", time_json(split.memory)},
                    {"rest_us", time_json(split.rest)}}},
          {"others_us", time_json(split.others)},
          {"commands_us", time_json(split.commands)},
          {"lockstep", {{"hooks_us", time_json(split.hooks)},
                        {"lock_us", time_json(split.lock)},
                        {"barriers_us", time_json(split.barriers)},
                        {"sum_us", time_json(split.lockstep())}}}};
}

/// What each of its hooks has said of itself.
Json hooks_json(const HookLog& hooks) {
  Json json = Json::object();
  for (const auto& times : hooks) {
    if (!times) continue;
    json[std::string(to_string(times->action))] = {{"forked_us", times->forked.count()},
                                                    {"said_us", times->said.count()},
                                                    {"heard_us", times->heard.count()},
                                                    {"ended_us", times->ended.count()}};
  }
  return json;
}

Json criu_json(const MemberReport& member) {
  const MemberRun& run = member.run;
  Json json = {{"ok", run.ok()}, {"exit_code", nullptr}, {"signal", nullptr}, {"ended_ms", run.ended.count()}};
  if (run.exit)
    json[run.exit->signal == 0 ? "exit_code" : "signal"] = run.exit->signal == 0 ? run.exit->code : run.exit->signal;
  json["detail"] = text_or_null(run.detail);
  json["log"] = text_or_null(member.log);
  json["times"] = times_json(member.times);
  return json;
}

Json connections_json(const ConnectionCounts& counts) {
  return {{"internal", counts.internal},
          {"internal_service", counts.internal_service},
          {"external", counts.external},
          {"listening", counts.listening},
          {"half_open", counts.half_open},
          {"orphaned", counts.orphaned},
          {"finished", counts.finished},
          {"ambiguous", counts.ambiguous},
          {"closed", counts.closed.closed},
          {"discarded_bytes", counts.closed.discarded_bytes},
          {"unsent_bytes", counts.closed.unsent_bytes}};
}

Json differences_json(const std::vector<ConnectionDifference>& differences) {
  Json list = Json::array();
  for (const ConnectionDifference& difference : differences) {
    list.push_back({{"member", difference.member.value},
                    {"connection", difference.connection},
                    {"expected", difference.expected},
                    {"found", difference.found}});
  }
  return list;
}

Json commands_json(const std::vector<CommandResult>& commands) {
  Json list = Json::array();
  for (const CommandResult& result : commands) {
    list.push_back({{"moment", to_string(result.moment)},
                    {"command", result.command},
                    {"ok", result.ok},
                    {"duration_ms", result.duration_ms},
                    {"output", result.output}});
  }
  return list;
}

/// What the broker knows of a member.
Json member_json(Operation operation, const MemberStatus& status) {
  return {{"id", status.id.value},
          {"pod", {{"boot_id", status.pod.boot_id}, {"netns_inode", status.pod.netns_inode}}},
          {"agent", text_or_null(status.agent)},
          {"sockets", status.sockets},
          {"connections", connections_json(status.connections)},
          {"notes", status.notes},
          {"commands", commands_json(status.commands)},
          {"phases", phases_json(operation, status)},
          {"unlocked_us", time_json(status.unlocked_us)},
          {"detail", text_or_null(status.detail)}};
}

/// With what only whoever started its CRIU knows.
Json member_json(Operation operation, const MemberStatus& status, const MemberReport& member) {
  Json json = member_json(operation, status);
  json["pid"] = member.pid == 0 ? Json(nullptr) : Json(member.pid);
  json["images"] = text_or_null(member.images);
  json["node"] = text_or_null(member.node);
  json["archives"] = member.archives;
  json["criu"] = criu_json(member);
  json["hooks"] = hooks_json(member.hooks);
  return json;
}

/// While everybody waited for the commands at the frozen point.
Json hold_json(const RoundStatus& status) {
  if (status.hold_begin_us < 0) return nullptr;
  return {{"begin_us", status.hold_begin_us}, {"end_us", time_json(status.hold_end_us)}};
}

Json finding_json(const Finding& finding) {
  return {{"severity", to_string(finding.severity)},
          {"pid", finding.pid},
          {"process", finding.process},
          {"descriptor", finding.fd < 0 ? Json(nullptr) : Json(finding.fd)},
          {"what", finding.what},
          {"remedy", finding.remedy},
          {"options", finding.options}};
}

Json findings_json(const Report& report) {
  Json list = Json::array();
  for (const auto& [member, finding] : report.findings) {
    Json json = {{"member", member.value}};
    json.update(finding_json(finding));
    list.push_back(std::move(json));
  }
  return list;
}

Json after_restore_json(const Report& report) {
  Json list = Json::array();
  for (const auto& [member, difference] : report.after_restore) {
    list.push_back({{"member", member.value},
                    {"pid", difference.pid},
                    {"process", difference.process},
                    {"kind", to_string(difference.kind)},
                    {"what", difference.what},
                    {"saved", difference.saved},
                    {"found", difference.found},
                    {"remedy", difference.remedy}});
  }
  return list;
}

Json in_flight_json(const std::vector<InFlight>& found) {
  Json list = Json::array();
  for (const InFlight& each : found) {
    const bool known = each.pid != 0;
    list.push_back({{"member", each.member.value},
                    {"tcp", each.tcp},
                    {"listener", text_or_null(each.listener)},
                    {"pid", known ? Json(each.pid) : Json(nullptr)},
                    {"process", text_or_null(each.process)},
                    {"descriptor", known ? Json(each.fd) : Json(nullptr)}});
  }
  return list;
}

Json attempts_json(const std::vector<Attempt>& attempts) {
  Json list = Json::array();
  for (const Attempt& attempt : attempts) {
    list.push_back({{"round", attempt.round.value},
                    {"verdict", attempt.verdict},
                    {"reason", text_or_null(attempt.reason)},
                    {"in_flight", in_flight_json(attempt.in_flight)},
                    {"skip_in_flight", attempt.skip_in_flight},
                    {"duration_ms", attempt.duration.count()},
                    {"pause_ms", attempt.pause.count()}});
  }
  return list;
}

Json agent_json(const AgentStatus& agent) {
  return {{"name", agent.name}, {"role", to_string(agent.role)},  {"boot_id", agent.boot_id},
          {"pods", agent.pods}, {"whole_node", agent.whole_node}, {"last_heard_ms", agent.last_heard_ms}};
}

Json summary_json(const RoundSummary& round) {
  return {{"round", round.id.value},
          {"group", round.group.value},
          {"operation", to_string(round.operation)},
          {"state", to_string(round.state)},
          {"phase", to_string(round.phase)},
          {"members", round.members},
          {"opened_unix_ms", round.opened_unix_ms},
          {"reason", text_or_null(round.reason)},
          {"culprit", text_or_null(round.culprit.value)}};
}

}  // namespace

std::string report_json(const Report& report) {
  const RoundStatus& status = report.outcome.status;
  const RoundVerdict verdict = verdict_of(report);
  Json json = {{"operation", to_string(status.operation)},
               {"round", report.round.value},
               {"group", report.group.value},
               {"verdict", to_string(verdict)},
               {"exit_code", static_cast<int>(exit_code_of(verdict))},
               {"state", to_string(status.state)},
               {"phase", to_string(status.phase)},
               {"reason", text_or_null(status.reason)},
               {"culprit", text_or_null(status.culprit.value)},
               {"broker_lost", text_or_null(report.outcome.broker_lost)},
               {"interrupted", report.outcome.interrupted},
               {"leave_running", status.leave_running},
               {"serial", status.serial},
               {"opened_unix_ms", status.opened_unix_ms},
               {"commands_frozen", hold_json(status)},
               {"duration_ms", report.outcome.duration.count()},
               {"sync_ms", report.sync.count()},
               {"attempts", attempts_json(report.attempts)},
               {"skip_in_flight_used", !report.attempts.empty() && report.attempts.back().skip_in_flight},
               {"after_restore", after_restore_json(report)},
               {"notes", report.notes},
               {"preflight", findings_json(report)},
               {"differences", differences_json(status.differences)},
               {"proof", text_or_null(report.proof)},
               {"consistent", report.proof.empty() ? Json(nullptr) : Json(report.proven)},
               {"members", Json::array()}};
  const auto splits = split_frozen(report);
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    json["members"].push_back(member_json(status.operation, status.members[i], report.members[i]));
    const bool dump = status.operation == Operation::dump;
    json["members"].back()["frozen"] = dump ? split_json(splits[i]) : Json(nullptr);
  }
  return dump(json, false);
}

std::string status_json(const BrokerStatus& status, bool compact) {
  const Counters& counters = status.counters;
  Json json = {
      {"broker", status.broker}, {"up_ms", status.up_ms}, {"agents", Json::array()}, {"rounds", Json::array()}};
  for (const auto& agent : status.agents) json["agents"].push_back(agent_json(agent));
  for (const auto& round : status.rounds) json["rounds"].push_back(summary_json(round));
  json["counters"] = {{"messages", counters.messages},
                      {"malformed", counters.malformed},
                      {"refused", counters.refused},
                      {"unroutable", counters.unroutable},
                      {"unauthenticated", counters.unauthenticated},
                      {"forbidden", counters.forbidden},
                      {"rounds_opened", counters.rounds_opened},
                      {"rounds_committed", counters.rounds_committed},
                      {"rounds_aborted", counters.rounds_aborted}};
  return dump(json, compact);
}

std::string history_json(const std::vector<RoundSummary>& rounds) {
  Json json = {{"rounds", Json::array()}};
  for (const RoundSummary& round : rounds) json["rounds"].push_back(summary_json(round));
  return dump(json, false);
}

std::string round_json(const Message& answer) {
  const auto& status = std::get<RoundStatus>(answer.body);
  Json json = {{"operation", to_string(status.operation)},
               {"round", answer.round.value},
               {"group", answer.group.value},
               {"state", to_string(status.state)},
               {"phase", to_string(status.phase)},
               {"reason", text_or_null(status.reason)},
               {"culprit", text_or_null(status.culprit.value)},
               {"leave_running", status.leave_running},
               {"serial", status.serial},
               {"opened_unix_ms", status.opened_unix_ms},
               {"commands_frozen", hold_json(status)},
               {"differences", differences_json(status.differences)},
               {"members", Json::array()}};
  for (const MemberStatus& member : status.members) {
    json["members"].push_back(member_json(status.operation, member));
    json["members"].back()["criu"] = criu_text(answer.round, member.criu);
  }
  return dump(json, false);
}

std::string criu_text(const RoundId& round, CriuOutcome criu) {
  const bool by_hooks = round.value.starts_with("hook-");
  return by_hooks && criu == CriuOutcome::running ? "not told" : std::string(to_string(criu));
}

std::string preflight_json(const Preflight& preflight, int exit_code) {
  Json json = {
      {"ok", exit_code == 0}, {"exit_code", exit_code}, {"warnings", preflight.warnings}, {"members", Json::array()}};
  for (const ReadyMember& ready : preflight.members) {
    Json member = {{"id", ready.member->id.value},
                   {"pid", ready.pid == 0 ? Json(nullptr) : Json(ready.pid)},
                   {"ok", !any_fatal(ready.findings)},
                   {"options", ready.more_options},
                   {"findings", Json::array()}};
    for (const Finding& finding : ready.findings) member["findings"].push_back(finding_json(finding));
    json["members"].push_back(std::move(member));
  }
  return dump(json, false);
}

std::string error_json(const Error& error, int exit_code) {
  return dump(Json{{"error", {{"message", error.message()}}}, {"exit_code", exit_code}}, false);
}

}  // namespace lockstep::cli
