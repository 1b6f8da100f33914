/// One call of the hook, from CRIU's question to the exit code.
#pragma once

#include "agent/hook/hook_environment.hpp"
#include "agent/hook/stopwatch.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook {

/// Tells the agent that CRIU has come to `action`, and waits for the verdict. Success means that CRIU may go on; an
/// Error says in one line why it must not. In between, post-dump leaves the round's record in the images folder.
/// `watch` is told when the agent has been.
[[nodiscard]] Result<void> run_session(const Environment& environment, HookAction action, Stopwatch& watch);

}  // namespace lockstep::hook
