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

/// The ZeroMQ endpoint with the address of its name, IPv4 where there is one; one that has no name as it is. libzmq
/// looks a name up each time that it connects again, which may be when the network is locked.
[[nodiscard]] Result<std::string> with_address(const std::string& zmq_endpoint);

}  // namespace lockstep::agent
