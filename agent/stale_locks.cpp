#include "agent/stale_locks.hpp"

#include <algorithm>

#include "agent/kernel/lock_listing.hpp"
#include "common/log.hpp"
#include "common/unix_socket.hpp"

namespace lockstep::agent {
namespace {

bool sidecar_listens(const std::string& socket_dir, std::uint64_t inode) {
  return somebody_listens(socket_dir + "/pod-" + std::to_string(inode) + ".sock");
}

bool closes_for_a_round(const FoundLock& lock) {
  return lock.maker == LockMaker::lockstep && lock.armed && !lock.note.round.empty();
}

Result<void> sweep(const MachineNetns& pod, const std::string& socket_dir, Sweep& result) {
  auto netns = open_found(pod);
  if (!netns) return Failure(netns.error());
  auto locks = find_locks(*netns);
  if (!locks) return Failure(locks.error());
  for (FoundLock& lock : *locks) {
    if (lock.maker != LockMaker::lockstep || state_of(lock.note.owner) != OwnerState::dead) continue;
    if (sidecar_listens(socket_dir, pod.inode)) break;
    if (closes_for_a_round(lock)) {
      result.left.push_back({pod, std::move(lock)});
      continue;
    }
    if (auto done = remove_lock(*netns, lock); !done) return done;
    ++result.removed;
    spdlog::warn("pod net:[{}], {}: removed the {} lock of agent {} (pid {}), which is dead", pod.inode, pod.name,
                 lock.armed ? "armed" : "prepared", lock.note.owner.agent, lock.note.owner.pid);
  }
  return {};
}

}  // namespace

Sweep sweep_stale_locks(const std::string& socket_dir, const std::vector<MachineNetns>& pods) {
  Sweep result;
  for (const MachineNetns& pod : pods) {
    const auto swept = sweep(pod, socket_dir, result);
    if (swept || swept.error().code == ErrorCode::not_found) continue;  // pods come and go
    spdlog::warn("pod net:[{}], {}: stale locks can't be looked for: {}", pod.inode, pod.name, swept.error().message());
  }
  return result;
}

Result<std::optional<LeftLock>> find_left_lock(const MachineNetns& pod) {
  auto netns = open_found(pod);
  if (!netns) return Failure(netns.error());
  auto locks = find_locks(*netns);
  if (!locks) return Failure(locks.error());
  const auto left = std::ranges::find_if(*locks, closes_for_a_round);
  if (left == locks->end()) return std::optional<LeftLock>();
  return std::optional<LeftLock>(LeftLock{pod, std::move(*left)});
}

void remove_replaced(const LeftLock& left) {
  const auto netns = open_found(left.pod);
  const auto locks = netns ? find_locks(*netns) : Result<std::vector<FoundLock>>(std::vector<FoundLock>());
  if (!locks) return;
  for (const FoundLock& lock : *locks) {
    if (lock.backend != left.lock.backend || lock.note != left.lock.note) continue;
    if (auto done = remove_lock(*netns, lock); !done) {
      spdlog::warn("pod net:[{}], {}: {}", left.pod.inode, left.pod.name, done.error().message());
    }
  }
}

}  // namespace lockstep::agent
