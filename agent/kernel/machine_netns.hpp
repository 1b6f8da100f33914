/// The network namespaces of this machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep {

struct MachineNetns {
  std::uint64_t inode = 0;
  std::string name;  ///< that of /run/netns, else a process inside: "nginx (pid 812)"
  std::string path;  ///< opens it, as long as the name or the process is there
};

/// Every namespace that has a name in /run/netns or a process that this one can see, each once, by inode.
[[nodiscard]] std::vector<MachineNetns> machine_netns();

/// The namespace that a person names: a path, an inode ("4026532000", "net:[4026532000]"). not_found when this machine
/// shows none of that inode.
[[nodiscard]] Result<MachineNetns> find_netns(const std::string& path_or_inode);

/// Opens it, and checks that it is still the one that was found.
[[nodiscard]] Result<Fd> open_found(const MachineNetns& found);

/// The name of a process as one may print it: "nginx (pid 812)".
[[nodiscard]] std::string process_text(const std::string& pid);

}  // namespace lockstep
