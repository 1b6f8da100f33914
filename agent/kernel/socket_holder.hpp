/// Which process holds a socket, for messages to people.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace lockstep {

/// Looks through the descriptors of all processes that this one may look at: "nginx (pid 812)" by socket inode; nothing
/// for those that it can't see. Takes milliseconds and more: ask once, and only when something is wrong.
[[nodiscard]] std::unordered_map<std::uint64_t, std::string> find_holders(
    const std::unordered_set<std::uint64_t>& inodes);

}  // namespace lockstep
