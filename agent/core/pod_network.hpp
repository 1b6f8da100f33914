/// What the agent's core asks of the kernel, pod by pod. The real one is agent/pods.hpp; tests bring their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::agent {

/// A pod, and the ways to reach its namespace: one of them is enough, and the inode decides whether it is the right one.
struct PodPlace {
  PodId pod;
  std::int32_t root_pid = 0;
  std::string netns_path;
};

/// Every call returns within milliseconds. Calls for a pod that has not been prepared fail with not_found.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  /// Makes the pod's lock ready, disarmed, and takes away what an earlier agent left. Free to be called again; it does
  /// not touch a lock that this agent has armed.
  virtual Result<void> prepare(const PodPlace& place) = 0;
  virtual Result<void> arm(const PodId& pod, milliseconds lease) = 0;
  virtual Result<void> renew(const PodId& pod, milliseconds lease) = 0;
  virtual Result<void> disarm(const PodId& pod) = 0;
  virtual Result<std::vector<InterfaceAddress>> addresses(const PodId& pod) = 0;
  /// The sockets with these inodes.
  virtual Result<SocketTable> sockets(const PodId& pod, const std::vector<std::uint64_t>& inodes) = 0;
};

}  // namespace lockstep::agent
