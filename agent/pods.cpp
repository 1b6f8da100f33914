#include "agent/pods.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "agent/kernel/close_connections.hpp"
#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/restore_check.hpp"
#include "common/log.hpp"
#include "common/netns.hpp"

namespace lockstep::agent {
namespace {

std::string pod_text(std::uint64_t inode) { return "pod net:[" + std::to_string(inode) + "]"; }

}  // namespace

Pods::~Pods() {
  for (auto& [inode, pod] : pods_) {
    if (pod.armed) continue;  // left so on purpose: its round may still be decided, and the lease ends it
    remove_lock(inode, pod);
  }
}

bool Pods::may_use_iptables() const {
  if (pods_.empty()) return backend_ != LockBackend::nftables;
  return std::ranges::any_of(pods_, [](const auto& pod) { return pod.second.lock->backend() == "iptables"; });
}

Result<void> Pods::add_node(Fd netns) {
  auto inode = netns_inode(netns);
  if (!inode) return Failure(inode.error());
  auto nat = NatReader::create(netns);
  if (!nat) return Failure(nat.error());
  node_.emplace(Node{std::move(netns), *inode, std::move(*nat)});
  return {};
}

Result<Fd> Pods::open(const PodPlace& place) const {
  std::vector<std::string> paths;
  if (!place.netns_path.empty()) paths.push_back(place.netns_path);
  if (place.root_pid > 0) paths.push_back("/proc/" + std::to_string(place.root_pid) + "/ns/net");
  paths.emplace_back("/proc/self/ns/net");
  std::string tried;
  for (const std::string& path : paths) {
    auto netns = open_netns(path);
    const auto inode = netns ? netns_inode(*netns) : Result<std::uint64_t>(0);
    if (netns && inode && *inode == place.pod.netns_inode) return netns;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return fail(ErrorCode::not_found, "find " + pod_text(place.pod.netns_inode),
              "none of " + tried + " leads there from this agent; a node agent needs the host's pid namespace");
}

Result<Pods::Pod*> Pods::find(const PodId& pod) {
  const auto known = pods_.find(pod.netns_inode);
  if (known == pods_.end() || pod.boot_id != boot_id_) {
    return fail(ErrorCode::not_found, pod_text(pod.netns_inode), "not prepared by this agent");
  }
  known->second.used = Clock::now();
  return &known->second;
}

Result<void> Pods::prepare(const PodPlace& place) {
  if (place.pod.boot_id != boot_id_) {
    return fail(ErrorCode::invalid, "prepare " + pod_text(place.pod.netns_inode), "it is on another machine");
  }
  if (node_) node_->nat.refresh(node_->netns);
  if (const auto known = pods_.find(place.pod.netns_inode); known != pods_.end()) {
    known->second.used = Clock::now();
    known->second.nat->refresh(known->second.netns);
    if (known->second.armed) return {};
    return known->second.lock->prepare();  // somebody may have flushed the rule set since
  }
  return add(place, std::nullopt);
}

Result<void> Pods::take_over(const PodPlace& place, const Closing& closing) { return add(place, closing); }

Result<void> Pods::add(const PodPlace& place, const std::optional<Closing>& closing) {
  auto netns = open(place);
  if (!netns) return Failure(netns.error());
  auto lock = create_pod_lock(*netns, backend_, exempt_, owner_, closing);
  if (!lock) return Failure(lock.error());
  auto diag = SockDiag::create(*netns);
  if (!diag) return Failure(diag.error());
  auto addresses = AddressReader::create(*netns);
  if (!addresses) return Failure(addresses.error());
  auto nat = NatReader::create(*netns);
  if (!nat) return Failure(nat.error());
  pods_.emplace(place.pod.netns_inode,
                Pod{std::move(*netns), std::move(*lock), std::make_unique<SockDiag>(std::move(*diag)),
                    std::make_unique<AddressReader>(std::move(*addresses)),
                    std::make_unique<NatReader>(std::move(*nat)), closing.has_value(), Clock::now()});
  return {};
}

Result<void> Pods::arm(const PodId& id, milliseconds lease, const RoundId& round) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  auto armed = (*pod)->lock->arm(lease, round.value);
  (*pod)->armed = armed.has_value();
  return armed;
}

Result<void> Pods::renew(const PodId& id, milliseconds lease) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  return (*pod)->lock->renew(lease);
}

bool Pods::renews_quickly(const PodId& pod) const {
  const auto known = pods_.find(pod.netns_inode);
  return known != pods_.end() && known->second.lock->backend() == "nftables";
}

Result<void> Pods::disarm(const PodId& id) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  (*pod)->armed = false;
  return (*pod)->lock->disarm();
}

Result<std::vector<InterfaceAddress>> Pods::addresses(const PodId& id) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  return (*pod)->addresses->read();
}

Result<SocketTable> Pods::sockets(const PodId& id, const std::vector<std::uint64_t>& inodes) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  return (*pod)->diag->tcp_sockets_of(std::unordered_set<std::uint64_t>(inodes.begin(), inodes.end()));
}

Result<std::vector<NatEntry>> Pods::nat_entries(const PodId& id, const SocketTable& connections) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  const std::vector<Flow> flows = flows_of(connections);
  auto entries = (*pod)->nat->read(flows);
  if (!entries || !node_ || node_->inode == id.netns_inode) return entries;
  auto outside = node_->nat.read(flows_outside(flows, *entries));
  if (!outside) return outside;
  entries->insert(entries->end(), outside->begin(), outside->end());
  return entries;
}

Result<ClosedConnections> Pods::close_connections(const PodId& id, const SocketTable& connections) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  return agent::close_connections(*(*pod)->lock, *(*pod)->diag, connections);
}

Result<RestoreCheck> Pods::check_for_restore(const PodId& id, const SocketTable& wanted,
                                             const std::vector<InterfaceAddress>& addresses) {
  auto pod = find(id);
  if (!pod) return Failure(pod.error());
  return agent::check_for_restore((*pod)->netns, *(*pod)->diag, *(*pod)->addresses, (*pod)->lock->backend(), wanted,
                                  addresses);
}

void Pods::remove_lock(std::uint64_t inode, Pod& pod) const {
  const auto anothers = is_anothers(pod.netns, pod.lock->backend(), owner_);
  if (anothers && *anothers) return;
  const auto removed = anothers ? pod.lock->remove() : Result<void>(Failure(anothers.error()));
  if (!removed) spdlog::warn("{}: its lock can't be taken away: {}", pod_text(inode), removed.error().message());
}

void Pods::forget_idle(TimePoint now, Duration idle) {
  for (auto entry = pods_.begin(); entry != pods_.end();) {
    Pod& pod = entry->second;
    if (pod.armed || now - pod.used < idle) {
      ++entry;
      continue;
    }
    remove_lock(entry->first, pod);
    entry = pods_.erase(entry);
  }
}

}  // namespace lockstep::agent
