/// Finding a network namespace again: by a path that the user names, or by its inode.
#pragma once

#include <cstdint>
#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

struct FoundPod {
  Fd netns;
  std::uint64_t inode = 0;
  std::string path;
};

/// Opens a namespace by its path.
[[nodiscard]] Result<FoundPod> open_pod(const std::string& path);
/// Looks for the inode among the named namespaces (/run/netns) first, since those stay, then among those of all
/// processes. not_found when nothing keeps that namespace alive that we could see.
[[nodiscard]] Result<FoundPod> find_pod(std::uint64_t inode);

}  // namespace lockstep::cli
