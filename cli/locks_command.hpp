/// `lockstep locks` and `lockstep unlock`: the locks that stand on this machine, and a way to take them out by hand. They
/// ask the kernel, not the broker: they work when everything else is gone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/machine_netns.hpp"

namespace lockstep::cli {

struct LocksOptions {
  bool json = false;
};

/// Lists what lockstep has locked, or is ready to. kFailed when some of the namespaces can't be looked into, kUsage when
/// none can.
[[nodiscard]] int run_locks_command(const LocksOptions& options);

struct UnlockOptions {
  std::string pod;   ///< path or inode; this or
  bool all = false;
  bool json = false;
};

/// Removes lockstep's locks, also armed ones and those of agents that live: of them it warns. kDone, too, when there
/// is none; kFailed when one can't be removed; kUsage when the pod is not found or nothing can be looked into.
[[nodiscard]] int run_unlock_command(const UnlockOptions& options);

/// A lock and where it stands.
struct LockRow {
  MachineNetns pod;
  FoundLock lock;
  OwnerState owner = OwnerState::unknown;
};

/// The tables of `lockstep locks`. `now_unix_ms`: the wall clock, for ages.
[[nodiscard]] std::string locks_text(const std::vector<LockRow>& rows, std::int64_t now_unix_ms);
[[nodiscard]] std::string locks_json(const std::vector<LockRow>& rows, const std::vector<std::string>& errors,
                                     std::int64_t now_unix_ms);

}  // namespace lockstep::cli
