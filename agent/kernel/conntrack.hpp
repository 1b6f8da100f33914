/// The connection-tracking table of a namespace (libnl-nf).
#pragma once

#include <string>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Deletes what connection tracking still remembers of connections with the end points of `wanted`, none of which may
/// exist: an entry of an earlier life would take their packets for invalid ones. Gives a text for each.
///
/// What an established connection can't do without stays: an entry that translates its addresses, and every one where
/// the kernel takes up no connection in the middle (nf_conntrack_tcp_loose = 0). Does nothing, and loads no module,
/// where nothing is tracked.
[[nodiscard]] Result<std::vector<std::string>> clear_conntrack(const Fd& netns, const SocketTable& wanted);

}  // namespace lockstep
