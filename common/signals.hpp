/// Signals as something to poll for.
#pragma once

#include <initializer_list>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep {

/// Blocks the signals in this thread (and those it makes later: call it before libzmq starts its own) and returns a
/// signalfd that becomes readable when one of them comes.
[[nodiscard]] Result<Fd> open_signal_fd(std::initializer_list<int> signals);

/// How many of them have come since the last call; never waits.
[[nodiscard]] int take_signals(const Fd& signals);

}  // namespace lockstep
