/// One checkpoint, in as many rounds as it takes. A round that was aborted because of un-accepted connections alone
/// (in_flight.hpp) is followed by another one, with everybody released and running in between: a bounded number of
/// times, and where the group allows it once more with --skip-in-flight, which leaves such connections out of the
/// images. Every other failure is final, and so is any end of a restore's round.
///
///   round -> aborted, in flight -> pause (jittered, longer each time) -> round -> … -> round with --skip-in-flight
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/attempts/in_flight.hpp"
#include "cli/report.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// What the group's file allows.
struct RetryLimits {
  std::uint32_t retries = 0;  ///< rounds after the first one
  bool may_skip = false;      ///< and one more, with --skip-in-flight
};

/// One attempt, as the one who runs it needs it.
struct AttemptPlan {
  std::size_t number = 1;
  bool skip_in_flight = false;
};

/// What comes next when `done` attempts have failed, the last one as `last` tells; nothing: that was it. Pure.
[[nodiscard]] std::optional<AttemptPlan> next_attempt(const RetryLimits& limits, const AttemptPlan& last,
                                                      const std::vector<InFlight>& found);
/// Between the attempt of that number and the next: 100 to 200 ms, doubling up to 1 to 2 s. `random` spreads it, so
/// that it does not keep time with the application. Pure.
[[nodiscard]] milliseconds pause_after(std::size_t number, std::uint32_t random);

/// Runs one round to its end and tells why it failed, if in-flight connections are the reason. An error: no round was
/// opened.
struct AttemptEnd {
  Report report;
  std::vector<InFlight> in_flight = {};
};
using RunAttempt = std::function<Result<AttemptEnd>(const AttemptPlan&)>;

/// The last attempt's report, with all attempts in it. `say` gets a line for the user before each further one. A signal
/// ends the pauses, and is then the last word.
[[nodiscard]] Result<Report> run_attempts(const RetryLimits& limits, const RunAttempt& run, const Fd& signals,
                                          const std::function<void(const std::string&)>& say);

}  // namespace lockstep::cli
