/// `lockstep status` and `lockstep abort`: what the broker knows, and an end to a round.
#pragma once

#include <string>

#include "schemas/messages.hpp"

namespace lockstep::cli {

struct StatusOptions {
  std::string broker;  ///< empty: see broker_address()
  bool watch = false;
  bool json = false;
};

/// Asks once, or with `watch` each second, until a signal ends the program or the broker no longer answers.
[[nodiscard]] int run_status_command(const StatusOptions& options);

struct AbortOptions {
  std::string broker;
  std::string round;
  std::string reason;
};

/// Ends an undecided round. kFailed when it was decided already, or is not known.
[[nodiscard]] int run_abort_command(const AbortOptions& options);

/// Agents, rounds, counters as text.
[[nodiscard]] std::string status_text(const BrokerStatus& status);

}  // namespace lockstep::cli
