/// What a tree that a restore has just brought back looks like, read out of /proc while it runs. Needs root. No state;
/// any thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/examine/tree_facts.hpp"

namespace lockstep::cli {

struct LiveFile {
  std::string path;  ///< as /proc shows it
  std::uint64_t size = 0;
};

struct LiveProcess {
  pid_t pid = 0;      ///< as we see it
  pid_t own_pid = 0;  ///< as the tree itself does: what CRIU's images are named after
  std::string name;
  std::vector<Limit> limits;
  std::map<int, LiveFile> files;  ///< regular ones, by descriptor
};

struct LiveClocks {
  std::chrono::nanoseconds monotonic{};
  std::chrono::nanoseconds boottime{};
};

struct LiveTree {
  std::vector<LiveProcess> processes;  ///< the root first; empty when it is gone
  std::optional<LiveClocks> clocks;    ///< what they say to the root, now
};

[[nodiscard]] LiveTree read_live_tree(pid_t root);

}  // namespace lockstep::cli
