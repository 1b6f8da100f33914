#include "agent/hook/process_tree.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>

#include "agent/hook/proc_files.hpp"

namespace lockstep::hook {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

/// Processes come and go in /proc: that one has gone is no failure.
bool is_gone(int error) { return error == ENOENT || error == ESRCH; }

/// Opens a folder of /proc; an empty Dir when its process is gone.
Result<Dir> open_dir(const std::string& path) {
  Dir dir(::opendir(path.c_str()));
  if (!dir && !is_gone(errno)) return fail_errno("opendir " + path);
  return dir;
}

/// The next entry's name that is a number; empty at the end.
std::string_view next_number(DIR* dir) {
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') return static_cast<const char*>(entry->d_name);
  }
  return {};
}

/// Appends the pids in a `children` file ("12 13 14 ").
void append_pids(std::string_view text, std::vector<pid_t>& pids) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto parsed = std::from_chars(at, end, pid);
    if (parsed.ec == std::errc{} && pid > 0) pids.push_back(pid);
    at = std::max(parsed.ptr, at + 1);
  }
}

/// Appends the children of every thread of `pid`: a child belongs to the thread that forked it.
Result<void> append_children(pid_t pid, std::vector<pid_t>& pids) {
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  const auto tasks = open_dir(path);
  if (!tasks) return Failure(tasks.error());
  if (!*tasks) return {};
  for (auto name = next_number(tasks->get()); !name.empty(); name = next_number(tasks->get())) {
    const auto text = read_small_file(path + "/" + std::string(name) + "/children", kMaxProcesses * 8);
    if (text) append_pids(*text, pids);
    if (!text && !is_gone(text.error().sys_errno)) return Failure(text.error());
  }
  return {};
}

/// Appends the sockets among `pid`'s descriptors. Threads share them: CRIU refuses a tree where they don't.
Result<void> append_sockets(pid_t pid, std::vector<std::uint64_t>& inodes) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const auto dir = open_dir(path);
  if (!dir) return Failure(dir.error());
  if (!*dir) return {};
  for (auto name = next_number(dir->get()); !name.empty(); name = next_number(dir->get())) {
    std::array<char, 64> link;  // enough for "socket:[N]"; what is cut off is a path
    const ssize_t size = ::readlinkat(::dirfd(dir->get()), name.data(), link.data(), link.size());
    if (size < 0 && is_gone(errno)) continue;
    if (size < 0) return fail_errno("readlink " + path + "/" + std::string(name));
    const std::uint64_t inode = socket_inode_in({link.data(), static_cast<std::size_t>(size)});
    if (inode != 0) inodes.push_back(inode);
  }
  return {};
}

/// Processes of a tree share sockets after a fork: keeps each inode once.
void keep_each_once(std::vector<std::uint64_t>& inodes) {
  std::sort(inodes.begin(), inodes.end());
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
}

}  // namespace

std::uint64_t socket_inode_in(std::string_view link) {
  constexpr std::string_view kPrefix = "socket:[";
  if (!link.starts_with(kPrefix) || !link.ends_with(']')) return 0;
  const std::string_view digits = link.substr(kPrefix.size(), link.size() - kPrefix.size() - 1);
  std::uint64_t inode = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), inode);
  return parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size() ? inode : 0;
}

Result<std::vector<std::uint64_t>> socket_inodes_of_tree(pid_t root, std::size_t max_sockets) {
  const std::string operation = "read the sockets of process " + std::to_string(root) + " and its children";
  if (::access(("/proc/" + std::to_string(root)).c_str(), F_OK) < 0) return fail_errno(operation);
  std::vector<std::uint64_t> inodes;
  std::vector<pid_t> pids{root};
  // `pids` grows while it is walked. A pid can't come twice from a frozen tree; from a running one the limit ends it.
  for (std::size_t i = 0; i < pids.size(); ++i) {
    if (pids.size() > kMaxProcesses) {
      return fail(ErrorCode::invalid, operation, "more than " + std::to_string(kMaxProcesses) + " processes");
    }
    const pid_t pid = pids[i];
    if (auto done = append_sockets(pid, inodes); !done) return fail_from(done.error(), operation);
    if (auto done = append_children(pid, pids); !done) return fail_from(done.error(), operation);
    if (inodes.size() > 2 * max_sockets) keep_each_once(inodes);
    if (inodes.size() > 2 * max_sockets) break;
  }
  keep_each_once(inodes);
  if (inodes.size() > max_sockets) {
    return fail(ErrorCode::invalid, operation, "more than " + std::to_string(max_sockets) + " sockets");
  }
  return inodes;
}

}  // namespace lockstep::hook
