/// What the images folder of one member says of its processes: limits, sizes of open files, clocks. For the comparison
/// after a restore (cli/examine/restored.hpp).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace lockstep::images {

struct SavedLimit {
  std::uint64_t soft = 0;  ///< all ones: unlimited
  std::uint64_t hard = 0;
};

/// A regular file behind a descriptor.
struct SavedFile {
  int fd = -1;
  std::string name;  ///< as the tree sees it
  /// Its size. CRIU saves none of files that are only appended to, such as logs; then the place up to which the process
  /// had written.
  std::uint64_t size = 0;
  bool is_place = false;  ///< it is that place
};

struct SavedProcess {
  pid_t pid = 0;  ///< as the tree itself sees it
  std::string name;
  std::vector<SavedLimit> limits;  ///< by RLIMIT_'s numbers; empty in images of old CRIUs
  std::vector<SavedFile> files;
};

/// What the tree's clocks said at the end of the dump.
struct SavedClocks {
  std::chrono::nanoseconds monotonic{};
  std::chrono::nanoseconds boottime{};
};

struct ProcessImages {
  std::vector<SavedProcess> processes;             ///< the root first
  std::optional<SavedClocks> clocks;               ///< none: the machine of the dump had no time namespaces
  std::optional<std::chrono::nanoseconds> uptime;  ///< of the machine of the dump, then
  std::vector<std::string> problems;               ///< damaged or missing files: each a line that names the file
};

/// The most processes that are read of one member.
inline constexpr std::size_t kMaxProcesses = 65'536;

/// Never fails: what can't be read is among the problems, and the rest is there.
[[nodiscard]] ProcessImages read_process_images(const std::string& folder);

}  // namespace lockstep::images
