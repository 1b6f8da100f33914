/// Locks that stand in a namespace, whoever has left them there: finding them, telling about them, taking them out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kernel/lock_note.hpp"
#include "agent/kernel/nft_ruleset.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

enum class LockMaker { lockstep, criu };

/// One lock of one backend.
struct FoundLock {
  LockMaker maker = LockMaker::lockstep;
  std::string backend;     ///< "nftables", "iptables"
  std::string what;        ///< for people: "nftables table inet lockstep", "iptables chain CRIU"
  bool armed = false;      ///< it stops packets now; a CRIU's always does
  std::optional<milliseconds> remaining;  ///< of the lease, when armed; nothing: it never ends by itself
  LockNote note;           ///< a lockstep's; empty where nothing is noted
  NftTable table;          ///< nftables
  std::string flavour;     ///< iptables: "-nft" or "-legacy"
  std::vector<IpFamily> families;  ///< iptables: those that have the chains
};

/// All locks of the namespace: ours and CRIU's (nftables table `CRIU-PID`, iptables chain `CRIU`). Forks iptables-save
/// only where the kernel tells that a filter table of iptables exists.
[[nodiscard]] Result<std::vector<FoundLock>> find_locks(const Fd& netns);

/// Whether another process than `owner` has put its lock of this backend in the place of ours, or has closed the
/// namespace with it. Disarmed, iptables' locks don't tell.
[[nodiscard]] Result<bool> is_anothers(const Fd& netns, std::string_view backend, const LockOwner& owner);

/// Takes one out. No error when it is gone.
[[nodiscard]] Result<void> remove_lock(const Fd& netns, const FoundLock& lock);

/// Reads into `lock` what iptables-save shows of one of our chains. Pure. `now_unix_ms`: the wall clock.
void read_iptables_lock(const std::string& saved, std::int64_t now_unix_ms, FoundLock& lock);

}  // namespace lockstep
