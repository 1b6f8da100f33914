/// `lockstep status`, `history`, `show` and `abort`: what the broker knows, and an end to a round.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/timeline.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

struct StatusOptions {
  std::string key;     ///< likewise broker_key()
  std::string broker;  ///< empty: see broker_address()
  bool watch = false;
  bool json = false;
};

/// Asks once, or with `watch` each second, until a signal ends the program or the broker no longer answers.
[[nodiscard]] int run_status_command(const StatusOptions& options);

struct HistoryOptions {
  std::string key;
  std::string broker;
  std::string group;  ///< empty: of all groups
  std::uint32_t limit = 20;
  bool json = false;
};

/// Rounds that have ended, newest first, out of the broker's journal.
[[nodiscard]] int run_history_command(const HistoryOptions& options);

struct ShowOptions {
  std::string key;
  std::string broker;
  std::string round;
  bool json = false;
};

/// One round: its members, when each passed each phase, the outcome. kFailed when the broker knows no such round.
[[nodiscard]] int run_show_command(const ShowOptions& options);

struct AbortOptions {
  std::string key;
  std::string broker;
  std::string round;
  std::string reason;
};

/// Ends an undecided round. kFailed when it was decided already, or is not known.
[[nodiscard]] int run_abort_command(const AbortOptions& options);

/// Agents, rounds, counters as text.
[[nodiscard]] std::string status_text(const BrokerStatus& status);
[[nodiscard]] std::string history_text(const std::vector<RoundSummary>& rounds);
/// `answer` is a RoundStatus with its round and group.
[[nodiscard]] std::string round_text(const Message& answer, const TimelineStyle& style);

}  // namespace lockstep::cli
