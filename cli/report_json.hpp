/// Reports as JSON, one object each. Keys are snake_case and stable, those of times end in their unit, and a time that
/// has not come is null.
#pragma once

#include <string>
#include <vector>

#include "cli/preflight.hpp"
#include "cli/report.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// A round's report, indented, with a newline at its end.
[[nodiscard]] std::string report_json(const Report& report);
/// The answer to `lockstep status`; on one line when `compact`, so that --watch gives a line for each second.
[[nodiscard]] std::string status_json(const BrokerStatus& status, bool compact);
/// The answer to `lockstep history`: {"rounds": […]}.
[[nodiscard]] std::string history_json(const std::vector<RoundSummary>& rounds);
/// The answer to `lockstep show`. `answer` is a RoundStatus with its round and group.
[[nodiscard]] std::string round_json(const Message& answer);
/// How a member's CRIU ended, as far as the broker was told: nobody tells it of a round that hooks have opened.
[[nodiscard]] std::string criu_text(const RoundId& round, CriuOutcome criu);
/// The answer to `lockstep preflight`.
[[nodiscard]] std::string preflight_json(const Preflight& preflight, int exit_code);
/// A command that ended before its round began: {"error": {"message": …}, "exit_code": …}.
[[nodiscard]] std::string error_json(const Error& error, int exit_code);

}  // namespace lockstep::cli
