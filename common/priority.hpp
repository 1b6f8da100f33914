/// Whose turn it is on a processor. While members stand still everything waits for hooks, agents and the broker, each
/// of which needs a millisecond at most; and the CRIUs that have been let go already want the same processors for as
/// long as they are given, which may be until the next tick of the clock. A machine that does not allow these calls
/// only makes everybody wait for longer.
#pragma once

namespace lockstep {

/// For hooks and agents: this thread runs before all ordinary processes (SCHED_RR). What it starts does not inherit
/// that. If it ever runs for a second without a pause, which no round needs, it is an ordinary one from then on: nobody
/// takes a processor by flooding it.
void run_first();

/// For the broker, whom strangers can reach, before it has threads: a larger share (nice -10, where that is allowed) in
/// shorter turns.
void run_promptly();

}  // namespace lockstep
