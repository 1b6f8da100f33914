#include "cli/attempts/attempts.hpp"

#include <poll.h>
#include <sys/random.h>

#include <algorithm>

#include "cli/text_table.hpp"
#include "common/signals.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kFirstPause{200};
constexpr milliseconds kLongestPause{2'000};

/// False: a signal has come.
bool wait_for(milliseconds pause, const Fd& signals) {
  const TimePoint end = Clock::now() + pause;
  for (TimePoint now = Clock::now(); now < end; now = Clock::now()) {
    pollfd interrupted{signals.get(), POLLIN, 0};
    if (::poll(&interrupted, 1, static_cast<int>(std::chrono::ceil<milliseconds>(end - now).count())) != 1) continue;
    if (take_signals(signals) > 0) return false;
  }
  return true;
}

Attempt attempt_of(const AttemptPlan& plan, const AttemptEnd& end) {
  std::string reason = end.report.outcome.status.reason;
  if (!end.in_flight.empty()) {
    reason.clear();
    for (const InFlight& each : end.in_flight) {
      reason += (reason.empty() ? "" : "; ") + ("member \"" + each.member.value + "\": ") + each.text();
    }
  }
  return {end.report.round,
          plan.skip_in_flight,
          std::string(to_string(verdict_of(end.report))),
          std::move(reason),
          end.in_flight,
          end.report.outcome.duration,
          {}};
}

std::string count_of(const RetryLimits& limits, const AttemptPlan& next) {
  if (next.skip_in_flight) return "once more, with --skip-in-flight";
  return "attempt " + std::to_string(next.number) + " of " + std::to_string(limits.retries + 1);
}

}  // namespace

std::optional<AttemptPlan> next_attempt(const RetryLimits& limits, const AttemptPlan& last,
                                        const std::vector<InFlight>& found) {
  if (found.empty() || last.skip_in_flight) return std::nullopt;
  if (last.number <= limits.retries) return AttemptPlan{last.number + 1, false};
  const bool would_help = std::ranges::any_of(found, &InFlight::tcp);
  if (limits.may_skip && would_help) return AttemptPlan{last.number + 1, true};
  return std::nullopt;
}

milliseconds pause_after(std::size_t number, std::uint32_t random) {
  const std::size_t doublings = std::min<std::size_t>(number - 1, 10);
  const milliseconds full = std::min(kFirstPause * (1U << doublings), kLongestPause);
  return full / 2 + milliseconds(random % (static_cast<std::uint32_t>(full.count()) / 2 + 1));
}

Result<Report> run_attempts(const RetryLimits& limits, const RunAttempt& run, const Fd& signals,
                            const std::function<void(const std::string&)>& say) {
  std::optional<Report> former;
  std::vector<Attempt> attempts;
  std::vector<std::string> notes;  // of earlier ones
  for (std::optional<AttemptPlan> plan = AttemptPlan{}; plan;) {
    auto end = run(*plan);
    if (!end && !former) return Failure(end.error());
    if (!end) {
      former->notes.push_back("it could not be tried again: " + end.error().message());
      break;
    }
    attempts.push_back(attempt_of(*plan, *end));
    for (std::string& note : former ? former->notes : std::vector<std::string>()) {
      notes.push_back("attempt " + std::to_string(attempts.size() - 1) + ": " + std::move(note));
    }
    former = std::move(end->report);
    plan = next_attempt(limits, *plan, end->in_flight);
    if (!plan) break;
    std::uint32_t random = 0;
    (void)::getrandom(&random, sizeof random, 0);
    const milliseconds pause = pause_after(attempts.size(), random);
    attempts.back().pause = pause;
    say("round " + former->round.value + " was aborted: " + printable(attempts.back().reason) +
        "; all run on. Trying again in " + std::to_string(pause.count()) + " ms (" + count_of(limits, *plan) + ")");
    if (wait_for(pause, signals)) continue;
    former->outcome.interrupted = true;
    former->notes.emplace_back("interrupted: it was not tried again");
    break;
  }
  former->attempts = std::move(attempts);
  former->notes.insert(former->notes.begin(), notes.begin(), notes.end());
  return std::move(*former);
}

}  // namespace lockstep::cli
