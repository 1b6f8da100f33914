#include "agent/stale_locks.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "agent/kernel/lock_listing.hpp"
#include "common/log.hpp"

namespace lockstep::agent {
namespace {

/// A socket file says nothing: only one that somebody listens on can be connected to.
bool sidecar_listens(const std::string& socket_dir, std::uint64_t inode) {
  const std::string path = socket_dir + "/pod-" + std::to_string(inode) + ".sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: its queue is full, so there is one.
  return probe && (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
                   errno == EAGAIN);
}

Result<std::size_t> sweep(const MachineNetns& pod, const std::string& socket_dir) {
  auto netns = open_found(pod);
  if (!netns) return Failure(netns.error());
  auto locks = find_locks(*netns);
  if (!locks) return Failure(locks.error());
  std::size_t removed = 0;
  for (const FoundLock& lock : *locks) {
    if (lock.maker != LockMaker::lockstep || state_of(lock.note.owner) != OwnerState::dead) continue;
    if (sidecar_listens(socket_dir, pod.inode)) break;
    if (auto done = remove_lock(*netns, lock); !done) return Failure(done.error());
    ++removed;
    spdlog::warn("pod net:[{}], {}: removed the {} lock of agent {} (pid {}), which is dead{}", pod.inode, pod.name,
                 lock.armed ? "armed" : "prepared", lock.note.owner.agent, lock.note.owner.pid,
                 lock.note.round.empty() ? "" : "; round " + lock.note.round);
  }
  return removed;
}

}  // namespace

std::size_t sweep_stale_locks(const std::string& socket_dir, const std::vector<MachineNetns>& pods) {
  std::size_t removed = 0;
  for (const MachineNetns& pod : pods) {
    const auto swept = sweep(pod, socket_dir);
    if (swept) {
      removed += *swept;
    } else if (swept.error().code != ErrorCode::not_found) {  // pods come and go
      spdlog::warn("pod net:[{}], {}: stale locks can't be looked for: {}", pod.inode, pod.name,
                   swept.error().message());
    }
  }
  return removed;
}

}  // namespace lockstep::agent
