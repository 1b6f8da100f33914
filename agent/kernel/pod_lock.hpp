/// The lock of one pod's network: one interface, two ways to do it (nft_lock, iptables_lock).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kernel/lock_note.hpp"
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
  /// prepare() and arm() in one step, for a namespace that an earlier agent has left closed: it stays so without a gap.
  virtual Result<void> take_over(milliseconds lease, std::string_view round) = 0;
  /// Closes the namespace for `lease` (1 ms to 24 h), counted from now. not_found when it is not prepared.
  /// `round` is noted, with the time, for people who find the lock (lock_note.hpp).
  virtual Result<void> arm(milliseconds lease, std::string_view round) = 0;
  Result<void> arm(milliseconds lease) { return arm(lease, {}); }
  /// Arms again, without a gap, for `lease` from now.
  virtual Result<void> renew(milliseconds lease) = 0;
  /// Opens the namespace; the prepared table stays. No error when it is open.
  virtual Result<void> disarm() = 0;
  /// Takes everything of ours out of the namespace, whoever put it there. No error when there is nothing.
  virtual Result<void> remove() = 0;

  /// Lets the kernel's TCP resets out of the closed namespace, so that the peers of connections which are destroyed now
  /// hear of it; whichever socket they are of. A peer that has not received all that its connection's end had sent
  /// answers a reset with a question (RFC 5961), and believes only the second one: for the `answered` connections (local
  /// end first, kMaxAnswered at most) it is let in. They are added to those of earlier calls.
  /// Ends by stop_resets() or by itself, after `limit` from the last call.
  virtual Result<void> pass_resets(milliseconds limit, std::span<const Socket> answered) = 0;
  virtual Result<void> stop_resets() = 0;

  /// "nftables" or "iptables".
  [[nodiscard]] virtual std::string_view backend() const = 0;
};

/// What a lock that is taken over is closed for.
struct Closing {
  milliseconds lease{0};
  std::string round;
};

enum class LockBackend { automatic, nftables, iptables };

/// What fits into one call of pass_resets().
inline constexpr std::size_t kMaxAnswered = 1024;

/// Makes a lock for the namespace behind `netns` (a descriptor of /proc/PID/ns/net or /run/netns/NAME; borrowed during
/// the call only), and prepares it: only trying tells whether it works. `automatic` tries nftables and falls back to
/// iptables. `owner` is noted in it. With `closing` it is taken over rather than prepared. Fails, leaving nothing
/// behind, with what is missing and what to do about it.
[[nodiscard]] Result<std::unique_ptr<PodLock>> create_pod_lock(const Fd& netns, LockBackend backend,
                                                               std::vector<Endpoint> exempt,
                                                               const LockOwner& owner = {},
                                                               const std::optional<Closing>& closing = {});

}  // namespace lockstep
