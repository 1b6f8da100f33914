#include "cli/pod_search.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "common/netns.hpp"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

/// The file's inode is the namespace's; opening each one in turn would be slow with thousands of processes.
bool has_inode(const std::string& path, std::uint64_t inode) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && info.st_ino == inode;
}

/// Opens a candidate, and looks again: the process may have gone, and its pid been given to another one.
std::optional<FoundPod> confirm(const std::string& path, std::uint64_t inode) {
  if (!has_inode(path, inode)) return std::nullopt;
  auto pod = open_pod(path);
  if (!pod || pod->inode != inode) return std::nullopt;
  return std::move(*pod);
}

bool is_pid(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<FoundPod> open_pod(const std::string& path) {
  auto netns = open_netns(path);
  if (!netns) return Failure(netns.error());
  const auto inode = netns_inode(*netns);
  if (!inode) return Failure(inode.error());
  return FoundPod{std::move(*netns), *inode, path};
}

Result<FoundPod> find_pod(std::uint64_t inode) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/run/netns", error)) {
    if (auto pod = confirm(entry.path().string(), inode)) return std::move(*pod);
  }
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    if (!is_pid(entry.path().filename().string())) continue;
    if (auto pod = confirm(entry.path().string() + "/ns/net", inode)) return std::move(*pod);
  }
  return fail(ErrorCode::not_found, "network namespace net:[" + std::to_string(inode) + "]");
}

}  // namespace lockstep::cli
