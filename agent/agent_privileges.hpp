/// What an agent may do, once it has what only its start takes more for.
#pragma once

#include "agent/agent_config.hpp"
#include "common/result.hpp"

namespace lockstep::agent {

/// Drops all capabilities but those that this kind of agent works with; with `iptables` those of its programs too. Says
/// in the log what is missing. Before there is another thread.
[[nodiscard]] Result<void> drop_privileges(Scope scope, bool iptables);

}  // namespace lockstep::agent
