/// The kernel's texts under /proc, read. Pure, and safe on any text: what can't be read is left out.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/examine/tree_facts.hpp"

namespace lockstep::cli {

struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';
  std::string name = {};
  pid_t group = 0;
};
/// /proc/PID/stat. The name may hold any character.
[[nodiscard]] std::optional<ProcessStat> parse_stat(std::string_view text);

/// The value of a "Key:\tvalue" line of /proc/PID/status or fdinfo; empty where there is none.
[[nodiscard]] std::string_view value_of(std::string_view text, std::string_view key);

/// /proc/PID/limits.
[[nodiscard]] std::vector<Limit> parse_limits(std::string_view text);

/// /proc/PID/timens_offsets: how far the clocks of its time namespace are ahead of the machine's. Nothing for other
/// texts.
struct ClockOffsets {
  std::chrono::nanoseconds monotonic{};
  std::chrono::nanoseconds boottime{};
};
[[nodiscard]] std::optional<ClockOffsets> parse_timens_offsets(std::string_view text);

/// A line of /proc/PID/maps that maps a file: the range, as map_files names it, and the path.
struct MapLine {
  std::string range;
  std::string path;
};
/// Each file once. Anonymous memory, stacks and the kernel's own pages are left out.
[[nodiscard]] std::vector<MapLine> parse_maps(std::string_view text);

}  // namespace lockstep::cli
