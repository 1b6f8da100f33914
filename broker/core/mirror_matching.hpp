/// First step of the matching: sockets whose end points mirror each other's (connection_matching.hpp has the rules).
#pragma once

#include "broker/core/connection_index.hpp"
#include "broker/core/match_board.hpp"

namespace lockstep::broker {

/// Labels what has its other end, or more than one socket that could be it; leaves the rest as it is. Half-open sockets
/// are labelled already, and take part.
void match_mirrored(const ConnectionIndex& index, MatchBoard& board);

}  // namespace lockstep::broker
