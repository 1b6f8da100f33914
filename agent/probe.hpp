/// For supervisors: whether the agent of a configuration serves. Looked at from outside, in a process of its own.
#pragma once

#include <string>

#include "agent/agent_config.hpp"
#include "common/result.hpp"

namespace lockstep::agent {

/// Connects to the socket as a hook would, says nothing, and waits until the agent has seen the end of it: its loop
/// turns. Takes at most `patience`. not_found where nobody listens, timeout where somebody does and does not look.
[[nodiscard]] Result<void> probe_socket(const std::string& path, milliseconds patience);

/// The same for the agent of this configuration; a sidecar's is that of our own network namespace.
[[nodiscard]] Result<void> probe(const AgentConfig& config);

}  // namespace lockstep::agent
