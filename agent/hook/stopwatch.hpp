/// What this process has been at, and when, since its CRIU forked it.
#pragma once

#include <optional>

#include "common/clock.hpp"
#include "schemas/hook_times.hpp"

namespace lockstep::hook {

class Stopwatch {
 public:
  /// To be made first of all.
  Stopwatch();

  /// The event is out. The first time counts.
  void said();
  /// There was word of the agent. The last time counts.
  void heard();
  /// To be asked last of all.
  [[nodiscard]] HookTimes times(HookAction action) const;

 private:
  [[nodiscard]] microseconds elapsed() const;
  TimePoint forked_;
  std::optional<microseconds> said_;
  std::optional<microseconds> heard_;
};

}  // namespace lockstep::hook
