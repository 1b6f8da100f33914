/// Looks at a pod that is to be restored into, before any socket is there.
#pragma once

#include <string_view>
#include <vector>

#include "agent/core/pod_network.hpp"
#include "agent/kernel/addresses.hpp"
#include "agent/kernel/sock_diag.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::agent {

/// What PodNetwork::check_for_restore() promises. `own_backend` is that of the agent's own lock there, which stays.
/// Takes away:
///   - sockets without a process that only wait (TIME_WAIT, FIN_WAIT2), where one that is wanted needs their port,
///     and any closing one that has its end points;
///   - locks of ours by the other backend, and CRIU's (table CRIU-PID, chain CRIU), which a failed restore has left;
///   - what connection tracking remembers of wanted connections, unless one of them still exists.
/// An error means that it could not look; what could not be taken away is a conflict.
[[nodiscard]] Result<RestoreCheck> check_for_restore(const Fd& netns, SockDiag& diag, AddressReader& addresses,
                                                     std::string_view own_backend, const SocketTable& wanted,
                                                     const std::vector<InterfaceAddress>& addresses_at_dump);

}  // namespace lockstep::agent
