#include "agent/kernel/restore_check.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "agent/kernel/addresses.hpp"
#include "agent/kernel/conntrack.hpp"
#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/restore_conflicts.hpp"
#include "agent/kernel/socket_holder.hpp"
#include "schemas/endpoint_text.hpp"
#include "schemas/messages.hpp"

namespace lockstep::agent {
namespace {

/// A pod in which everything is taken is told in a message of bounded length.
constexpr std::size_t kMaxTexts = 32;

void add(std::vector<std::string>& texts, std::string text) {
  if (texts.size() < kMaxTexts) texts.push_back(std::move(text));
  else if (texts.size() == kMaxTexts) texts.emplace_back("and more");
}

/// The unspecified address is written out: on one port there may be a listener of each family.
std::string short_text(const Socket& socket) {
  if (socket.state != TcpState::listen) return connection_text(socket);
  const std::string address = address_text(socket.local.family, socket.local.address);
  return "listener " + (socket.local.family == IpFamily::v4 ? address : "[" + address + "]") + ":" +
         std::to_string(socket.local.port);
}

void clear_locks(const Fd& netns, std::string_view own_backend, RestoreCheck& check) {
  auto locks = find_locks(netns);
  if (!locks) {
    add(check.conflicts, "stale locks can't be looked for: " + locks.error().message());
    return;
  }
  for (const FoundLock& lock : *locks) {
    if (lock.maker == LockMaker::lockstep && lock.backend == own_backend) continue;
    if (auto removed = remove_lock(netns, lock); removed) {
      add(check.cleared, lock.what);
    } else {
      add(check.conflicts, "stale lock " + lock.what + ": " + removed.error().message() + "; remove it by hand");
    }
  }
}

void clear_leftovers(SockDiag& diag, const SocketTable& leftovers, RestoreCheck& check) {
  for (const Socket& socket : leftovers) {
    const std::string text = connection_text(socket) + " in " + std::string(to_string(socket.state));
    auto destroyed = diag.destroy(socket);
    if (destroyed || destroyed.error().code == ErrorCode::not_found) {
      add(check.cleared, text);
    } else {
      add(check.conflicts, text + " is left over and can't be cleared: " + destroyed.error().message() +
                               "; wait a minute, or restore into a new pod");
    }
  }
}

std::string holder_text(const Socket& holder, const std::unordered_map<std::uint64_t, std::string>& processes) {
  const auto process = processes.find(holder.inode);
  if (process != processes.end()) return process->second;
  if (holder.inode == 0) return "no process (not accepted yet, or still delivering)";
  return "a process that this agent can't see (socket inode " + std::to_string(holder.inode) + ")";
}

void report_taken(const std::vector<SocketConflict>& taken, RestoreCheck& check) {
  if (taken.empty()) return;
  std::unordered_set<std::uint64_t> inodes;
  for (const SocketConflict& conflict : taken)
    if (conflict.holder.inode != 0) inodes.insert(conflict.holder.inode);
  const auto processes = find_holders(inodes);
  for (const SocketConflict& conflict : taken) {
    add(check.conflicts, short_text(conflict.wanted) + " can't come back: " + short_text(conflict.holder) + ", " +
                             std::string(to_string(conflict.holder.state)) + ", is held by " +
                             holder_text(conflict.holder, processes) + "; end it, or restore into another pod");
  }
}

void report_missing(const std::vector<Endpoint>& missing, const std::vector<InterfaceAddress>& at_dump,
                    RestoreCheck& check) {
  for (const Endpoint& address : missing) {
    const auto before = std::ranges::find_if(at_dump, [&](const InterfaceAddress& own) {
      return own.family == address.family && own.address == address.address;
    });
    const std::string where = before == at_dump.end() ? "" : " (it was on " + before->interface + " at the dump)";
    add(check.conflicts, "address " + address_text(address.family, address.address) + " is missing from the pod" +
                             where + ": sockets are bound to it; add it, or bring its interface up");
  }
}

/// Where one of the wanted connections is still there its tracking is alive as well.
void clear_tracking(const Fd& netns, const SocketTable& wanted, RestoreCheck& check) {
  auto cleared = clear_conntrack(netns, wanted);
  if (!cleared) return add(check.conflicts, "stale connection tracking: " + cleared.error().message());
  for (std::string& text : *cleared) add(check.cleared, std::move(text));
}

}  // namespace

Result<RestoreCheck> check_for_restore(const Fd& netns, SockDiag& diag, AddressReader& addresses,
                                       std::string_view own_backend, const SocketTable& wanted,
                                       const std::vector<InterfaceAddress>& addresses_at_dump) {
  auto present = diag.tcp_sockets();
  if (!present) return fail_from(present.error(), "check the pod for a restore");
  auto have = addresses.read();
  if (!have) return fail_from(have.error(), "check the pod for a restore");
  const RestoreConflicts found = restore_conflicts(wanted, *present, *have);
  RestoreCheck check;
  clear_locks(netns, own_backend, check);
  clear_leftovers(diag, found.leftovers, check);
  report_taken(found.taken, check);
  report_missing(found.missing, addresses_at_dump, check);
  if (found.taken.empty()) clear_tracking(netns, wanted, check);
  return check;
}

}  // namespace lockstep::agent
