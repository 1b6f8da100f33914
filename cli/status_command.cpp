#include "cli/status_command.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <thread>

#include "cli/broker_address.hpp"
#include "cli/broker_client.hpp"
#include "cli/commands/member_command.hpp"
#include "cli/exit_code.hpp"
#include "cli/report_json.hpp"
#include "cli/text_table.hpp"
#include "common/config.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kWatchInterval{1'000};
constexpr std::size_t kShownReason = 80;
constexpr std::size_t kShownPods = 3;

int report_error(const Error& error, bool json) {
  const ExitCode code = exit_code_of(error);
  std::fprintf(stderr, "lockstep: %s\n", error.message().c_str());
  if (json) std::fputs(error_json(error, code).c_str(), stdout);
  return code;
}

/// Commands that only ask need no SUB.
template <class Options>
Result<BrokerClient> connect(const Options& options) {
  const auto address = broker_address(options.broker, nullptr);
  if (!address) return Failure(address.error());
  const auto key = broker_key(*address, options.key, nullptr);
  if (!key) return Failure(key.error());
  auto broker = BrokerClient::connect(address->broker, {}, *key);
  if (!broker) return broker;
  if (const auto welcome = broker->hello(); !welcome) return Failure(welcome.error());
  return broker;
}

Result<BrokerStatus> ask_status(BrokerClient& broker) {
  const auto answer = broker.request(Message{{}, {}, {}, 0, GetStatus{}});
  if (!answer) return Failure(answer.error());
  const auto* status = std::get_if<BrokerStatus>(&answer->body);
  if (status == nullptr) return fail(ErrorCode::unavailable, "the broker's answer to GetStatus makes no sense");
  return *status;
}

std::string local_time(std::int64_t unix_ms) {
  const std::time_t time = unix_ms / 1000;
  std::tm parts{};
  ::localtime_r(&time, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%F %T", &parts);
  return text.data();
}

std::string pods_text(const AgentStatus& agent) {
  if (agent.whole_node) return "whole node";
  std::string text;
  for (std::size_t i = 0; i < agent.pods.size() && i < kShownPods; ++i) {
    text += (i == 0 ? "net:[" : " net:[") + std::to_string(agent.pods[i]) + "]";
  }
  if (agent.pods.size() > kShownPods) text += " and " + std::to_string(agent.pods.size() - kShownPods) + " more";
  return text.empty() ? "-" : text;
}

std::string one_line(const std::string& text) {
  return printable(std::string_view(text).substr(0, text.find('\n')), kShownReason);
}

/// Shows one answer: in place on a terminal, below the last one elsewhere.
void show(const BrokerStatus& status, const StatusOptions& options) {
  const bool in_place = options.watch && !options.json && ::isatty(STDOUT_FILENO) != 0;
  const std::string text = options.json ? status_json(status, options.watch) : status_text(status);
  std::fputs(((in_place ? "\033[H\033[2J" : "") + text).c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::string history_text(const std::vector<RoundSummary>& rounds) {
  if (rounds.empty()) return "no rounds\n";
  TextTable table({"round", "group", "operation", "state", "phase", "members", "opened", "reason"});
  for (const auto& round : rounds) {
    const std::string culprit = round.culprit.empty() ? "" : " (member " + round.culprit.value + ")";
    table.add({round.id.value, round.group.value, std::string(to_string(round.operation)),
               std::string(to_string(round.state)), std::string(to_string(round.phase)), std::to_string(round.members),
               local_time(round.opened_unix_ms), round.reason.empty() ? "" : one_line(round.reason) + culprit});
  }
  return table.text();
}

std::string round_text(const Message& answer, const TimelineStyle& style) {
  const auto& status = std::get<RoundStatus>(answer.body);
  std::string text = std::string(to_string(status.operation)) + " round " + answer.round.value + " of group " +
                     answer.group.value + ", opened " + local_time(status.opened_unix_ms) + ": " +
                     std::string(to_string(status.state));
  if (status.state == RoundState::open) text += " in phase " + std::string(to_string(status.phase));
  if (!status.reason.empty()) text += ": " + printable(status.reason);
  if (!status.culprit.empty()) text += " (member " + status.culprit.value + ")";
  if (status.serial) text += "; the members of a pod one after another";
  text += "\n\n";
  TextTable table({"member", "agent", "arrived", "locked", "voted", "released", "unlocked", "sockets", "criu"});
  const auto in_ms = [](std::int64_t time_us) {
    return time_us < 0 ? std::string("-") : std::to_string(time_us / 1000) + "." + std::to_string(time_us / 100 % 10);
  };
  for (const MemberStatus& member : status.members) {
    table.add({member.id.value, member.agent.empty() ? "-" : printable(member.agent),
               in_ms(member.phases[0].arrived_us), in_ms(member.phases[1].ready_us), in_ms(member.phases[2].ready_us),
               in_ms(member.phases[2].released_us), in_ms(member.unlocked_us), std::to_string(member.sockets),
               criu_text(answer.round, member.criu)});
  }
  text += table.text() + "(milliseconds since the round was opened)\n";
  for (const MemberStatus& member : status.members) {
    if (!member.detail.empty()) text += "\nmember " + member.id.value + ": " + one_line(member.detail) + "\n";
    for (const std::string& note : member.notes) text += "\nmember " + member.id.value + ": " + one_line(note) + "\n";
    if (!member.commands.empty()) text += "\nmember " + member.id.value + ":\n" + commands_text(member.commands, true);
  }
  for (const ConnectionDifference& difference : status.differences) {
    text += "\nmember " + difference.member.value + ": " + printable(difference.connection) + ": expected " +
            printable(difference.expected) + ", found " + printable(difference.found) + "\n";
  }
  return text + "\n" + draw_timeline(status, style);
}

std::string status_text(const BrokerStatus& status) {
  std::string text = "broker " + printable(status.broker) + ", up " +
                     format_duration(std::chrono::floor<seconds>(milliseconds(status.up_ms))) + "\n\n";
  TextTable agents({"agent", "role", "pods", "heard ms ago", "boot id"});
  for (const auto& agent : status.agents) {
    agents.add({printable(agent.name), std::string(to_string(agent.role)), pods_text(agent),
                std::to_string(agent.last_heard_ms), printable(agent.boot_id)});
  }
  text += status.agents.empty() ? "no agents\n" : agents.text();
  text += "\n" + history_text(status.rounds);
  const Counters& counters = status.counters;
  TextTable counts({"messages", "malformed", "refused", "forbidden", "turned away", "unroutable", "rounds opened",
                    "committed", "aborted"});
  counts.add({std::to_string(counters.messages), std::to_string(counters.malformed), std::to_string(counters.refused),
              std::to_string(counters.forbidden), std::to_string(counters.unauthenticated),
              std::to_string(counters.unroutable), std::to_string(counters.rounds_opened),
              std::to_string(counters.rounds_committed), std::to_string(counters.rounds_aborted)});
  return text + "\n" + counts.text();
}

int run_status_command(const StatusOptions& options) {
  auto broker = connect(options);
  if (!broker) return report_error(broker.error(), options.json);
  while (true) {
    const auto status = ask_status(*broker);
    if (!status) return report_error(status.error(), options.json);
    show(*status, options);
    if (!options.watch || std::ferror(stdout) != 0) return kDone;
    std::this_thread::sleep_for(kWatchInterval);
    if (!options.json && ::isatty(STDOUT_FILENO) == 0) std::fputs("\n", stdout);
  }
}

int run_history_command(const HistoryOptions& options) {
  auto broker = connect(options);
  if (!broker) return report_error(broker.error(), options.json);
  const auto answer = broker->request(Message{{}, GroupId(options.group), {}, 0, GetHistory{options.limit}});
  if (!answer) return report_error(answer.error(), options.json);
  const auto* history = std::get_if<History>(&answer->body);
  if (history == nullptr) {
    return report_error({ErrorCode::unavailable, 0, "the broker's answer to GetHistory makes no sense", {}},
                        options.json);
  }
  std::fputs((options.json ? history_json(history->rounds) : history_text(history->rounds)).c_str(), stdout);
  return kDone;
}

int run_show_command(const ShowOptions& options) {
  auto broker = connect(options);
  if (!broker) return report_error(broker.error(), options.json);
  const auto answer = broker->request(Message{RoundId(options.round), {}, {}, 0, GetRound{}});
  if (!answer) return report_error(answer.error(), options.json);
  if (!std::holds_alternative<RoundStatus>(answer->body)) {
    return report_error({ErrorCode::unavailable, 0, "the broker's answer to GetRound makes no sense", {}},
                        options.json);
  }
  std::fputs((options.json ? round_json(*answer) : round_text(*answer, {60, locale_is_utf8()})).c_str(), stdout);
  return kDone;
}

int run_abort_command(const AbortOptions& options) {
  auto broker = connect(options);
  if (!broker) return report_error(broker.error(), false);
  const std::string reason = options.reason.empty() ? "aborted by the operator" : options.reason;
  const auto answer = broker->request(Message{RoundId(options.round), {}, {}, 0, AbortRound{reason}});
  if (!answer) return report_error(answer.error(), false);
  const auto* status = std::get_if<RoundStatus>(&answer->body);
  const bool aborted = status != nullptr && status->state == RoundState::aborted;
  if (aborted) {
    std::printf("round %s: aborted: %s\n", options.round.c_str(), printable(status->reason).c_str());
    return kDone;
  }
  const std::string state = status == nullptr ? "unknown" : std::string(to_string(status->state));
  std::fprintf(stderr, "lockstep: round %s is %s: too late to abort it\n", options.round.c_str(), state.c_str());
  return kFailed;
}

}  // namespace lockstep::cli
