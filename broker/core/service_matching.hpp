/// Second step of the matching: connections through a Service address (destination NAT), whose end points do not
/// mirror. The client sees the Service's address as its remote one; the server sees the client's own address and port.
#pragma once

#include <span>

#include "broker/core/connection_index.hpp"
#include "broker/core/match_board.hpp"

namespace lockstep::broker {

/// Labels what conntrack or byte counts prove, disprove, or leave in doubt, among the sockets that have no label yet.
void match_services(const ConnectionIndex& index, std::span<const NatEntry> nat, MatchBoard& board);

}  // namespace lockstep::broker
