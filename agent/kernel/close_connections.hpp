/// Closing single connections of a pod, one by one, and telling their peers.
#pragma once

#include "agent/core/pod_network.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "agent/kernel/sock_diag.hpp"

namespace lockstep::agent {

/// Destroys those of the pod's connections that have the end points of one of `wanted`: cookies and inodes differ after
/// a restore. `wanted` has to name the interface too where the same end points exist on several (link-local addresses).
/// Sockets may be in repair mode: the kernel sends their reset all the same.
///
/// `lock` is the pod's: where it is closed, the resets are let out while this works. Where a peer may have missed
/// data it is given two seconds more to ask back (PodLock::pass_resets), in the kernel, after this has returned.
/// On an error some may have been closed.
[[nodiscard]] Result<ClosedConnections> close_connections(PodLock& lock, SockDiag& diag, const SocketTable& wanted);

/// Those of `present` that `wanted` means: connections that are still open. Linear but for a sort of `present`. Pure.
[[nodiscard]] SocketTable find_connections(const SocketTable& present, const SocketTable& wanted);

}  // namespace lockstep::agent
