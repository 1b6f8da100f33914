#include "broker/core/directory.hpp"

#include <algorithm>
#include <utility>

namespace lockstep::broker {

void Directory::enter(const PeerId& id, Hello hello, TimePoint now, Identity who) {
  forget_claims(id);
  if (hello.role == Role::agent) {
    for (const std::uint64_t inode : hello.pods) pod_owners_[PodId{hello.boot_id, inode}] = id;
    if (hello.whole_node) node_owners_[hello.boot_id] = id;
  }
  peers_[id] = Peer{id, std::move(hello), now, std::move(who)};
}

void Directory::remove(const PeerId& id) {
  forget_claims(id);
  peers_.erase(id);
}

void Directory::forget_claims(const PeerId& id) {
  const auto known = peers_.find(id);
  if (known == peers_.end()) return;
  const Hello& hello = known->second.hello;
  // Only what is still this peer's: a newer claim stays.
  for (const std::uint64_t inode : hello.pods) {
    const auto owner = pod_owners_.find(PodId{hello.boot_id, inode});
    if (owner != pod_owners_.end() && owner->second == id) pod_owners_.erase(owner);
  }
  const auto node = node_owners_.find(hello.boot_id);
  if (node != node_owners_.end() && node->second == id) node_owners_.erase(node);
}

bool Directory::heard(const PeerId& id, TimePoint now) {
  const auto peer = peers_.find(id);
  if (peer == peers_.end()) return false;
  peer->second.last_heard = now;
  return true;
}

bool Directory::forget_quietest_client() {
  const Peer* quietest = nullptr;
  for (const auto& [id, peer] : peers_) {
    if (peer.hello.role != Role::client) continue;
    if (quietest == nullptr || peer.last_heard < quietest->last_heard) quietest = &peer;
  }
  if (quietest == nullptr) return false;
  remove(PeerId(quietest->id));
  return true;
}

const Peer* Directory::find(const PeerId& id) const {
  const auto peer = peers_.find(id);
  return peer == peers_.end() ? nullptr : &peer->second;
}

const Peer* Directory::owner_of(const PodId& pod) const {
  if (const auto owner = pod_owners_.find(pod); owner != pod_owners_.end()) return find(owner->second);
  if (const auto owner = node_owners_.find(pod.boot_id); owner != node_owners_.end()) return find(owner->second);
  return nullptr;
}

std::vector<PeerId> Directory::silent_since(TimePoint before) const {
  std::vector<PeerId> silent;
  for (const auto& [id, peer] : peers_) {
    if (peer.hello.role != Role::client && peer.last_heard < before) silent.push_back(id);
  }
  return silent;
}

std::vector<PeerId> Directory::peers_of(const std::string& identity) const {
  std::vector<PeerId> found;
  for (const auto& [id, peer] : peers_) {
    if (peer.who.id == identity) found.push_back(id);
  }
  return found;
}

std::vector<AgentStatus> Directory::agents(TimePoint now) const {
  std::vector<AgentStatus> rows;
  for (const auto& [id, peer] : peers_) {
    if (peer.hello.role == Role::client) continue;
    const auto silence = std::chrono::duration_cast<milliseconds>(now - peer.last_heard).count();
    rows.push_back({peer.hello.name, peer.hello.role, peer.hello.boot_id, peer.hello.pods, peer.hello.whole_node,
                    static_cast<std::uint32_t>(std::max<std::int64_t>(silence, 0))});
  }
  std::ranges::sort(rows, {}, [](const AgentStatus& row) { return std::tie(row.name, row.pods); });
  return rows;
}

}  // namespace lockstep::broker
