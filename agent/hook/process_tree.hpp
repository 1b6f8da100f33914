/// The sockets that a process tree holds, which an agent in another pid namespace can't see for itself.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace lockstep::hook {

/// More processes than this are no tree that CRIU would dump.
inline constexpr std::size_t kMaxProcesses = 65'536;

/// N of "socket:[N]", a descriptor's link in /proc/PID/fd; 0 when it is something else.
[[nodiscard]] std::uint64_t socket_inode_in(std::string_view link);

/// Inodes of all sockets (of every family) that `root` and its descendants have open: ascending, each once, at most
/// `max_sockets`. The tree must be frozen, or forks may be missed. A process that is gone or a zombie holds nothing;
/// one that can't be looked into is an Error, because a list with holes would leave sockets out of the round.
[[nodiscard]] Result<std::vector<std::uint64_t>> socket_inodes_of_tree(pid_t root, std::size_t max_sockets);

}  // namespace lockstep::hook
