/// What the hook reads of processes and of the machine, from /proc. Every read is bounded.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::hook {

/// The whole of a small file. not_found when there is none; invalid when it has more than `limit` bytes.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path, std::size_t limit);
/// The rest of an open file; `name` is for the error.
[[nodiscard]] Result<std::string> read_all(const Fd& fd, const std::string& name, std::size_t limit);

/// The inode of the process's network namespace.
[[nodiscard]] Result<std::uint64_t> netns_inode_of(pid_t pid);
/// This boot's id, without the newline.
[[nodiscard]] Result<std::string> read_boot_id();
/// When the process was started, in clock ticks since boot: with its pid it names the process for good.
[[nodiscard]] Result<std::uint64_t> start_time_of(pid_t pid);
/// The same from the text of /proc/PID/stat: field 22, counted behind the command's name, which may hold anything.
[[nodiscard]] Result<std::uint64_t> start_time_in(std::string_view stat);

}  // namespace lockstep::hook
