#include "agent/hook/stopwatch.hpp"

#include <charconv>
#include <ctime>
#include <string>

#include "agent/hook/proc_files.hpp"

namespace lockstep::hook {
namespace {

constexpr std::size_t kSchedstatLimit = 4096;

/// For how long this process has been there, through fork and exec: its time on a processor and in the queue for one.
/// The start time in /proc/self/stat has a resolution of 10 ms.
std::chrono::nanoseconds age() {
  timespec used{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) return {};
  const auto on_processor = seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
  // "TIME-ON-PROCESSOR TIME-IN-QUEUE SLICES". The first is only as new as the last switch, unlike the clock.
  const auto text = read_small_file("/proc/self/schedstat", kSchedstatLimit);
  const std::size_t at = text ? text->find(' ') : std::string::npos;
  std::int64_t in_queue = 0;
  if (at != std::string::npos) (void)std::from_chars(text->data() + at + 1, text->data() + text->size(), in_queue);
  return on_processor + std::chrono::nanoseconds(in_queue);
}

}  // namespace

Stopwatch::Stopwatch() : forked_(Clock::now() - std::chrono::duration_cast<Duration>(age())) {}

microseconds Stopwatch::elapsed() const { return std::chrono::duration_cast<microseconds>(Clock::now() - forked_); }

void Stopwatch::said() {
  if (!said_) said_ = elapsed();
}

void Stopwatch::heard() { heard_ = elapsed(); }

HookTimes Stopwatch::times(HookAction action) const {
  const microseconds now = elapsed();
  const auto forked = std::chrono::duration_cast<microseconds>(forked_.time_since_epoch());
  return {action, forked, said_.value_or(now), heard_.value_or(now), now};
}

}  // namespace lockstep::hook
