#include "agent/kernel/socket_holder.hpp"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include "agent/kernel/machine_netns.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// The number in "socket:[NUMBER]".
std::optional<std::uint64_t> socket_inode(std::string_view target) {
  constexpr std::string_view kPrefix = "socket:[";
  if (!target.starts_with(kPrefix)) return std::nullopt;
  target.remove_prefix(kPrefix.size());
  std::uint64_t inode = 0;
  if (std::from_chars(target.data(), target.data() + target.size(), inode).ec != std::errc()) return std::nullopt;
  return inode;
}

}  // namespace

std::unordered_map<std::uint64_t, std::string> find_holders(const std::unordered_set<std::uint64_t>& inodes) {
  std::unordered_map<std::uint64_t, std::string> holders;
  std::error_code error;  // processes come and go, and some may not be looked at: passed over
  for (fs::directory_iterator process("/proc", error), end; !error && process != end; process.increment(error)) {
    if (process->path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (fs::directory_iterator fd(process->path() / "fd", hidden); !hidden && fd != end; fd.increment(hidden)) {
      std::error_code closed;
      const auto inode = socket_inode(fs::read_symlink(fd->path(), closed).string());
      if (inode && inodes.contains(*inode)) holders.try_emplace(*inode, process_text(process->path().filename().string()));
    }
    if (holders.size() == inodes.size()) break;
  }
  return holders;
}

}  // namespace lockstep
