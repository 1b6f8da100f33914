#include "cli/status_command.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <thread>

#include "cli/broker_address.hpp"
#include "cli/broker_client.hpp"
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
Result<BrokerClient> connect(const std::string& option) {
  const auto address = broker_address(option, nullptr);
  if (!address) return Failure(address.error());
  auto broker = BrokerClient::connect(address->broker, {});
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

std::string status_text(const BrokerStatus& status) {
  std::string text = "broker " + printable(status.broker) + ", up " +
                     format_duration(std::chrono::floor<seconds>(milliseconds(status.up_ms))) + "\n\n";
  TextTable agents({"agent", "role", "pods", "heard ms ago", "boot id"});
  for (const auto& agent : status.agents) {
    agents.add({printable(agent.name), std::string(to_string(agent.role)), pods_text(agent),
                std::to_string(agent.last_heard_ms), printable(agent.boot_id)});
  }
  text += status.agents.empty() ? "no agents\n" : agents.text();
  TextTable rounds({"round", "group", "operation", "state", "phase", "members", "opened", "reason"});
  for (const auto& round : status.rounds) {
    const std::string culprit = round.culprit.empty() ? "" : " (member " + round.culprit.value + ")";
    rounds.add({round.id.value, round.group.value, std::string(to_string(round.operation)),
                std::string(to_string(round.state)), std::string(to_string(round.phase)), std::to_string(round.members),
                local_time(round.opened_unix_ms), round.reason.empty() ? "" : one_line(round.reason) + culprit});
  }
  text += "\n" + (status.rounds.empty() ? "no rounds\n" : rounds.text());
  const Counters& counters = status.counters;
  TextTable counts({"messages", "malformed", "refused", "unroutable", "rounds opened", "committed", "aborted"});
  counts.add({std::to_string(counters.messages), std::to_string(counters.malformed), std::to_string(counters.refused),
              std::to_string(counters.unroutable), std::to_string(counters.rounds_opened),
              std::to_string(counters.rounds_committed), std::to_string(counters.rounds_aborted)});
  return text + "\n" + counts.text();
}

int run_status_command(const StatusOptions& options) {
  auto broker = connect(options.broker);
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

int run_abort_command(const AbortOptions& options) {
  auto broker = connect(options.broker);
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
