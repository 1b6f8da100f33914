/// The pods' namespaces as the kernel keeps them: locks that end with their lease, and sockets. It outlives the agents
/// that use it through AgentPods. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/core/pod_network.hpp"

namespace lockstep::sim {

/// One life of one agent, as the owner of locks.
using OwnerNumber = int;

class Kernel {
 public:
  struct Pod {
    PodId id;
    bool armed = false;
    OwnerNumber owner = 0;
    RoundId round;           ///< that it was armed for
    TimePoint until;         ///< armed: when the lease ends
    TimePoint closed_since;  ///< while it is locked: since when without a gap
    TimePoint sick_until;    ///< until then every call fails
    SocketTable sockets;
  };

  explicit Kernel(const TimePoint& now) : now_(now) {}
  void add_pod(PodId id);
  [[nodiscard]] Pod* find(const PodId& id);
  [[nodiscard]] const Pod* find(const PodId& id) const { return const_cast<Kernel*>(this)->find(id); }
  [[nodiscard]] const std::vector<Pod>& pods() const { return pods_; }
  [[nodiscard]] bool locked(const Pod& pod) const { return pod.armed && now_ < pod.until; }
  [[nodiscard]] TimePoint now() const { return now_; }
  /// Fills the lock's set: closes the pod where it was open.
  void close(Pod& pod, OwnerNumber owner, milliseconds lease);

 private:
  const TimePoint& now_;
  std::vector<Pod> pods_;
};

/// One agent's view of the kernel.
class AgentPods : public agent::PodNetwork {
 public:
  AgentPods(Kernel& kernel, OwnerNumber owner) : kernel_(kernel), owner_(owner) {}

  /// Keeps the pod locked in place of a former life; false when it is not, or out of order.
  bool take_over(const PodId& pod, milliseconds lease);
  Result<void> prepare(const agent::PodPlace& place) override;
  Result<void> arm(const PodId& pod, milliseconds lease, const RoundId& round) override;
  Result<void> renew(const PodId& pod, milliseconds lease) override;
  Result<void> disarm(const PodId& pod) override;
  Result<std::vector<InterfaceAddress>> addresses(const PodId& pod) override;
  Result<SocketTable> sockets(const PodId& pod, const std::vector<std::uint64_t>& inodes) override;
  Result<std::vector<NatEntry>> nat_entries(const PodId& pod, const SocketTable& connections) override;
  Result<ClosedConnections> close_connections(const PodId& pod, const SocketTable& connections) override;
  Result<agent::RestoreCheck> check_for_restore(const PodId& pod, const SocketTable& wanted,
                                                const std::vector<InterfaceAddress>& addresses) override;

 private:
  [[nodiscard]] Result<Kernel::Pod*> prepared(const PodId& id, const char* call);

  Kernel& kernel_;
  OwnerNumber owner_;
  std::set<PodId> prepared_;
};

}  // namespace lockstep::sim
