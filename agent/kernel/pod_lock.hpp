/// The lock of one pod's network: one interface, two ways to do it (nft_lock, iptables_lock).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Packets that CRIU injects while it repairs sockets carry this mark; a lock lets them through (criu, SOCKET_MARK in
/// criu/include/net.h).
inline constexpr std::uint32_t kCriuMark = 0xC114;

/// Stops every IPv4 and IPv6 packet of a network namespace, loopback included, but for
///   - packets with CRIU's mark,
///   - TCP between this namespace and the `exempt` end points (a sidecar's own connections to its broker),
///   - IPv6 neighbour discovery, without which an exempted IPv6 connection would die of a stale neighbour.
///
/// An armed lock opens by itself, in the kernel, when its lease is not renewed: its owner may die or hang.
/// Not thread-safe. Works in the namespace it was created for, whichever one the calling thread is in.
class PodLock {
 public:
  virtual ~PodLock() = default;

  /// Puts the disarmed table in place, and takes away what an earlier agent has left. May be called again.
  virtual Result<void> prepare() = 0;
  /// Closes the namespace for `lease` (1 ms to 24 h), counted from now. not_found when it is not prepared.
  virtual Result<void> arm(milliseconds lease) = 0;
  /// Arms again, without a gap, for `lease` from now.
  virtual Result<void> renew(milliseconds lease) = 0;
  /// Opens the namespace; the prepared table stays. No error when it is open.
  virtual Result<void> disarm() = 0;
  /// Takes everything of ours out of the namespace, whoever put it there. No error when there is nothing.
  virtual Result<void> remove() = 0;
  /// "nftables" or "iptables".
  [[nodiscard]] virtual std::string_view backend() const = 0;
};

enum class LockBackend { automatic, nftables, iptables };

/// Makes a lock for the namespace behind `netns` (a descriptor of /proc/PID/ns/net or /run/netns/NAME; borrowed during
/// the call only), and prepares it: only trying tells whether it works. `automatic` tries nftables and falls back to
/// iptables. Fails, leaving nothing behind, with what is missing and what to do about it.
[[nodiscard]] Result<std::unique_ptr<PodLock>> create_pod_lock(const Fd& netns, LockBackend backend,
                                                               std::vector<Endpoint> exempt);

}  // namespace lockstep
