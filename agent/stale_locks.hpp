/// Locks that agents which are gone have left behind on this machine.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/kernel/machine_netns.hpp"

namespace lockstep::agent {

/// Takes lockstep's locks out of every namespace of this machine where the process that made them is dead, and logs
/// each. (`pods`: all, but in tests.) A lock stays when its pod's sidecar listens in `socket_dir`, and when nobody can tell whether its owner lives:
/// a closed one opens with its lease all the same. Gives the number of locks removed; what fails is logged only.
std::size_t sweep_stale_locks(const std::string& socket_dir, const std::vector<MachineNetns>& pods = machine_netns());

}  // namespace lockstep::agent
