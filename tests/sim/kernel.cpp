#include "tests/sim/kernel.hpp"

#include <algorithm>
#include <utility>

namespace lockstep::sim {

void Kernel::add_pod(PodId id) { pods_.emplace_back().id = std::move(id); }

Kernel::Pod* Kernel::find(const PodId& id) {
  const auto at = std::ranges::find(pods_, id, &Pod::id);
  return at == pods_.end() ? nullptr : &*at;
}

void Kernel::close(Pod& pod, OwnerNumber owner, milliseconds lease) {
  if (!locked(pod)) pod.closed_since = now_;
  pod.armed = true;
  pod.owner = owner;
  pod.until = now_ + lease;
}

Result<Kernel::Pod*> AgentPods::prepared(const PodId& id, const char* call) {
  Kernel::Pod* pod = kernel_.find(id);
  if (pod == nullptr || !prepared_.contains(id)) return fail(ErrorCode::not_found, call, "not prepared");
  if (kernel_.now() < pod->sick_until) return fail(ErrorCode::system, call, "out of order");
  return pod;
}

bool AgentPods::take_over(const PodId& id, milliseconds lease) {
  Kernel::Pod* pod = kernel_.find(id);
  if (pod == nullptr || !kernel_.locked(*pod) || pod->round.empty() || kernel_.now() < pod->sick_until) return false;
  prepared_.insert(id);
  kernel_.close(*pod, owner_, lease);
  return true;
}

Result<void> AgentPods::prepare(const agent::PodPlace& place) {
  Kernel::Pod* pod = kernel_.find(place.pod);
  if (pod == nullptr) return fail(ErrorCode::not_found, "prepare", "no such pod");
  if (kernel_.now() < pod->sick_until) return fail(ErrorCode::system, "prepare", "out of order");
  prepared_.insert(place.pod);
  if (pod->armed && pod->owner != owner_) pod->armed = false;  // what an earlier agent left
  return {};
}

Result<void> AgentPods::arm(const PodId& id, milliseconds lease, const RoundId& round) {
  const auto pod = prepared(id, "arm");
  if (!pod) return Failure(pod.error());
  kernel_.close(**pod, owner_, lease);
  (*pod)->round = round;
  return {};
}

Result<void> AgentPods::renew(const PodId& id, milliseconds lease) {
  const auto pod = prepared(id, "renew");
  if (!pod) return Failure(pod.error());
  if ((*pod)->owner != owner_) return fail(ErrorCode::not_found, "renew", "another agent has taken the table away");
  kernel_.close(**pod, owner_, lease);
  return {};
}

Result<void> AgentPods::disarm(const PodId& id) {
  const auto pod = prepared(id, "disarm");
  if (!pod) return Failure(pod.error());
  if ((*pod)->owner == owner_) (*pod)->armed = false;
  return {};
}

Result<std::vector<InterfaceAddress>> AgentPods::addresses(const PodId& id) {
  const auto pod = prepared(id, "addresses");
  if (!pod) return Failure(pod.error());
  const auto last = static_cast<std::uint8_t>((*pod)->id.netns_inode - 999);  // setting.cpp numbers pods from 1000
  return std::vector<InterfaceAddress>{{"eth0", IpFamily::v4, {10, 0, 0, last}, 24}};
}

Result<SocketTable> AgentPods::sockets(const PodId& id, const std::vector<std::uint64_t>& inodes) {
  const auto pod = prepared(id, "sockets");
  if (!pod) return Failure(pod.error());
  SocketTable found;
  for (const Socket& socket : (*pod)->sockets) {
    if (std::ranges::find(inodes, socket.inode) != inodes.end()) found.push_back(socket);
  }
  return found;
}

Result<std::vector<NatEntry>> AgentPods::nat_entries(const PodId& /*id*/, const SocketTable& /*connections*/) {
  return std::vector<NatEntry>();
}

Result<ClosedConnections> AgentPods::close_connections(const PodId& /*id*/, const SocketTable& /*connections*/) {
  return ClosedConnections();
}

Result<agent::RestoreCheck> AgentPods::check_for_restore(const PodId& id, const SocketTable& /*wanted*/,
                                                         const std::vector<InterfaceAddress>& /*addresses*/) {
  const auto pod = prepared(id, "check");
  if (!pod) return Failure(pod.error());
  return agent::RestoreCheck();
}

}  // namespace lockstep::sim
