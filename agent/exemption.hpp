/// A sidecar shares the namespace that it locks: its own way to the broker has to stay open.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::agent {

/// The TCP end points behind ZeroMQ endpoints, names resolved; ipc endpoints have none. Resolved once, at the start: a
/// resolver cannot be asked through a locked network.
[[nodiscard]] Result<std::vector<Endpoint>> resolve_exemptions(const std::vector<std::string>& zmq_endpoints);

}  // namespace lockstep::agent
