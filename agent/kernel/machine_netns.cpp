#include "agent/kernel/machine_netns.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

#include "common/netns.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Nothing when `path` leads to no namespace; a stat() costs less than opening it.
std::optional<std::uint64_t> inode_of(const std::string& path) {
  struct stat own {};
  struct stat status {};
  if (::stat("/proc/self/ns/net", &own) != 0 || ::stat(path.c_str(), &status) != 0) return std::nullopt;
  if (own.st_dev != status.st_dev) return std::nullopt;  // an empty file that something was mounted on once
  return status.st_ino;
}

/// Anybody may choose the name of a process: none of it is to reach a terminal as a command.
std::string harmless(std::string name) {
  std::ranges::replace_if(name, [](unsigned char c) { return c < ' ' || c >= 0x7f; }, '?');
  return name;
}

/// Calls `visit` with the name of each entry; a folder that is not there has none.
template <class Visit>
void for_each_entry(const char* folder, Visit visit) {
  std::error_code error;  // entries come and go: passed over
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    visit(entry->path().filename().string());
}

}  // namespace

std::string process_text(const std::string& pid) {
  std::string name;
  std::ifstream file("/proc/" + pid + "/comm");
  std::getline(file, name);
  return (name.empty() ? "process" : harmless(name)) + " (pid " + pid + ")";
}

std::vector<MachineNetns> machine_netns() {
  std::map<std::uint64_t, MachineNetns> found;
  for_each_entry("/run/netns", [&](const std::string& name) {
    const std::string path = "/run/netns/" + name;
    if (const auto inode = inode_of(path)) found.try_emplace(*inode, MachineNetns{*inode, harmless(name), path});
  });
  for_each_entry("/proc", [&](const std::string& pid) {
    if (!is_number(pid)) return;
    const std::string path = "/proc/" + pid + "/ns/net";
    const auto inode = inode_of(path);
    if (inode && !found.contains(*inode)) found.emplace(*inode, MachineNetns{*inode, process_text(pid), path});
  });
  std::vector<MachineNetns> all;
  for (auto& [inode, netns] : found) all.push_back(std::move(netns));
  return all;
}

Result<MachineNetns> find_netns(const std::string& path_or_inode) {
  std::string_view digits = path_or_inode;
  if (digits.starts_with("net:[") && digits.ends_with(']')) digits = digits.substr(5, digits.size() - 6);
  std::uint64_t wanted = 0;
  if (is_number(digits)) {
    std::from_chars(digits.data(), digits.data() + digits.size(), wanted);
  } else {
    auto netns = open_netns(path_or_inode);
    if (!netns) return Failure(netns.error());
    auto inode = netns_inode(*netns);
    if (!inode) return Failure(inode.error());
    wanted = *inode;
  }
  for (MachineNetns& netns : machine_netns())
    if (netns.inode == wanted) return std::move(netns);
  if (!is_number(digits)) return MachineNetns{wanted, harmless(path_or_inode), path_or_inode};
  return fail(ErrorCode::not_found, "find network namespace " + path_or_inode,
              "neither /run/netns nor a process of this machine leads there");
}

Result<Fd> open_found(const MachineNetns& found) {
  auto netns = open_netns(found.path);
  if (!netns) return netns;
  const auto inode = netns_inode(*netns);
  if (!inode) return Failure(inode.error());
  if (*inode != found.inode) return fail(ErrorCode::not_found, "open " + found.path, "it has gone meanwhile");
  return netns;
}

}  // namespace lockstep
