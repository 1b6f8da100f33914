/// Locks that agents which are gone have left behind on this machine.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/machine_netns.hpp"

namespace lockstep::agent {

/// A lock that still closes a pod for a round: what became of that, only the broker knows.
struct LeftLock {
  MachineNetns pod;
  FoundLock lock;
};

struct Sweep {
  std::size_t removed = 0;
  std::vector<LeftLock> left;
};

/// Takes lockstep's disarmed locks out of every namespace of this machine where the process that made them is dead, and
/// logs each; armed ones of a round are listed, and stay. (`pods`: all, but in tests.) Nothing is touched where the
/// pod's sidecar listens in `socket_dir`, nor where nobody can tell whether the owner lives: a closed one opens with
/// its lease all the same. What fails is logged only.
[[nodiscard]] Sweep sweep_stale_locks(const std::string& socket_dir,
                                      const std::vector<MachineNetns>& pods = machine_netns());

/// The lock that closes this pod for a round, whoever made it: a sidecar's own pod has nobody else to look after it.
[[nodiscard]] Result<std::optional<LeftLock>> find_left_lock(const MachineNetns& pod);

/// After another one has been put in its place: takes it out where it is of another backend, and still there.
void remove_replaced(const LeftLock& left);

}  // namespace lockstep::agent
