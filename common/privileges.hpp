/// What a daemon may do on its machine: what it needs, and no more.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace lockstep {

/// Keeps these of the process's capabilities (numbers of linux/capability.h) and drops all others, those that a program
/// it starts might get included; none can be won back. To be called while there is one thread: capabilities are a
/// thread's own, and libzmq's threads inherit them. Returns the names of those that are needed and that the process did
/// not have.
[[nodiscard]] Result<std::vector<std::string>> keep_capabilities(const std::vector<int>& needed);

}  // namespace lockstep
