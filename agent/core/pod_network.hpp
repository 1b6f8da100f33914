/// What the agent's core asks of the kernel, pod by pod. The real one is agent/pods.hpp; tests bring their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/connection_report.hpp"
#include "schemas/connections.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::agent {

/// A pod, and the ways to reach its namespace: one of them is enough, and the inode decides whether it is the right one.
struct PodPlace {
  PodId pod;
  std::int32_t root_pid = 0;
  std::string netns_path;
};

/// What stood in the way of sockets that are to be restored.
struct RestoreCheck {
  std::vector<std::string> cleared;    ///< ours, or plainly stale: it has been taken away
  std::vector<std::string> conflicts;  ///< each names the connection or port, who holds it, and what to do
  auto operator<=>(const RestoreCheck&) const = default;
};

/// Every call returns within milliseconds. Calls for a pod that has not been prepared fail with not_found.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  /// Makes the pod's lock ready, disarmed, and takes away what an earlier agent left. Free to be called again; it does
  /// not touch a lock that this agent has armed.
  virtual Result<void> prepare(const PodPlace& place) = 0;
  /// `round` is what the lock tells of itself to people who find it.
  virtual Result<void> arm(const PodId& pod, milliseconds lease, const RoundId& round) = 0;
  virtual Result<void> renew(const PodId& pod, milliseconds lease) = 0;
  /// A renewal takes microseconds, and tells whether the lock still stands: then one before each vote is worth it.
  [[nodiscard]] virtual bool renews_quickly(const PodId& /*pod*/) const { return false; }
  virtual Result<void> disarm(const PodId& pod) = 0;
  virtual Result<std::vector<InterfaceAddress>> addresses(const PodId& pod) = 0;
  /// The sockets with these inodes.
  virtual Result<SocketTable> sockets(const PodId& pod, const std::vector<std::uint64_t>& inodes) = 0;
  /// What connection tracking translates of these connections: in the pod, and, for an agent of a whole node, in the
  /// agent's own namespace. Nothing where nothing is tracked, or the kernel can't. Some 4 µs for each connection where
  /// something is.
  virtual Result<std::vector<NatEntry>> nat_entries(const PodId& pod, const SocketTable& connections) = 0;
  /// Closes those of the pod's connections that have these end points, whatever their cookies and inodes are by now.
  /// Their peers are told, also through an armed lock. Linear; some 10 µs for each.
  virtual Result<ClosedConnections> close_connections(const PodId& pod, const SocketTable& connections) = 0;
  /// Looks for what would keep sockets like `wanted` from coming back, and clears what is ours or plainly stale. Call it
  /// before any of them exists. `addresses`: the pod's at the dump, to tell where a missing one was.
  virtual Result<RestoreCheck> check_for_restore(const PodId& pod, const SocketTable& wanted,
                                                 const std::vector<InterfaceAddress>& addresses) = 0;
};

}  // namespace lockstep::agent
