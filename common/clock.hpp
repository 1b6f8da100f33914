/// Time as the cores see it: a point on the steady clock, handed in by the shell, never read by a core itself.
#pragma once

#include <chrono>

namespace lockstep {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace lockstep
