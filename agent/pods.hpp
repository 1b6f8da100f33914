/// The pods of this machine that the agent works on: PodNetwork over real namespaces. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/pod_network.hpp"
#include "agent/kernel/addresses.hpp"
#include "agent/kernel/nat_reader.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "agent/kernel/sock_diag.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"

namespace lockstep::agent {

/// Keeps for each pod a descriptor of its namespace and the netlink sockets inside it: making them costs more than all
/// the work that is done with them, and closing one waits for an RCU grace period.
class Pods : public PodNetwork {
 public:
  /// `boot_id` is this machine's; pods of another are refused. `exempt`: end points that a lock lets through.
  /// `owner` is noted in the locks.
  Pods(std::string boot_id, LockBackend backend, std::vector<Endpoint> exempt, LockOwner owner = {})
      : boot_id_(std::move(boot_id)), backend_(backend), exempt_(std::move(exempt)), owner_(std::move(owner)) {}
  /// Takes its lock tables out of every pod that is not locked.
  ~Pods() override;

  /// From now on what `netns` translates counts as well: the node's, through which its pods' packets go.
  Result<void> add_node(Fd netns);

  /// For a pod that a former life of this agent has left locked: prepares it, and keeps it locked without a gap.
  Result<void> take_over(const PodPlace& place, const Closing& closing);

  Result<void> prepare(const PodPlace& place) override;
  Result<void> arm(const PodId& pod, milliseconds lease, const RoundId& round) override;
  Result<void> renew(const PodId& pod, milliseconds lease) override;
  [[nodiscard]] bool renews_quickly(const PodId& pod) const override;
  Result<void> disarm(const PodId& pod) override;
  Result<std::vector<InterfaceAddress>> addresses(const PodId& pod) override;
  Result<SocketTable> sockets(const PodId& pod, const std::vector<std::uint64_t>& inodes) override;
  Result<std::vector<NatEntry>> nat_entries(const PodId& pod, const SocketTable& connections) override;
  Result<ClosedConnections> close_connections(const PodId& pod, const SocketTable& connections) override;
  Result<RestoreCheck> check_for_restore(const PodId& pod, const SocketTable& wanted,
                                         const std::vector<InterfaceAddress>& addresses) override;

  /// Lets go of pods that are not locked and have not been used for `idle`: what an agent holds open of a namespace
  /// keeps it alive after its pod has gone.
  void forget_idle(TimePoint now, Duration idle);
  [[nodiscard]] std::size_t size() const { return pods_.size(); }
  [[nodiscard]] PodId id_of(std::uint64_t inode) const { return {boot_id_, inode}; }
  /// It is locked by this agent.
  [[nodiscard]] bool armed(const PodId& pod) const {
    const auto known = pods_.find(pod.netns_inode);
    return known != pods_.end() && known->second.armed;
  }
  /// Whether a lock may be one of iptables' programs: one is, or none has been made that would tell.
  [[nodiscard]] bool may_use_iptables() const;

 private:
  struct Pod {
    Fd netns;
    std::unique_ptr<PodLock> lock;
    std::unique_ptr<SockDiag> diag;
    std::unique_ptr<AddressReader> addresses;
    std::unique_ptr<NatReader> nat;
    bool armed = false;
    TimePoint used;
  };
  struct Node {
    Fd netns;
    std::uint64_t inode = 0;
    NatReader nat;
  };

  [[nodiscard]] Result<Fd> open(const PodPlace& place) const;
  /// Opens what is kept of a pod; its lock is taken over when `closing` is given.
  Result<void> add(const PodPlace& place, const std::optional<Closing>& closing);
  [[nodiscard]] Result<Pod*> find(const PodId& pod);
  /// Takes our lock out, not what another agent has put there since: a sidecar may have closed the pod with it.
  void remove_lock(std::uint64_t inode, Pod& pod) const;

  std::string boot_id_;
  LockBackend backend_;
  std::vector<Endpoint> exempt_;
  LockOwner owner_;
  std::map<std::uint64_t, Pod> pods_;  ///< by namespace inode
  std::optional<Node> node_;
};

}  // namespace lockstep::agent
