#include "cli/restored/live_tree.hpp"

#include <sys/stat.h>
#include <time.h>

#include <charconv>
#include <filesystem>

#include "cli/files.hpp"
#include "cli/scan/proc_scan.hpp"

namespace lockstep::cli {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kTextLimit = 64 * 1024;

std::string text_of(const std::string& path) {
  auto text = read_file(path, kTextLimit);
  return text ? std::move(*text) : std::string();
}

/// The last one of "NSpid:\t4711\t12\t1": in the innermost namespace.
pid_t own_pid(const std::string& status, pid_t pid) {
  std::string_view all = value_of(status, "NSpid");
  all.remove_prefix(std::min(all.find_last_of(" \t") + 1, all.size()));
  pid_t own = 0;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), own);
  return error == std::errc{} ? own : pid;
}

std::map<int, LiveFile> regular_files(const std::string& folder) {
  std::map<int, LiveFile> files;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string number = entry->path().filename().string();
    int fd = -1;
    std::from_chars(number.data(), number.data() + number.size(), fd);
    struct stat info {};
    std::error_code gone;
    const auto path = std::filesystem::read_symlink(entry->path(), gone);
    if (gone || ::stat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    files[fd] = {path.string(), static_cast<std::uint64_t>(info.st_size)};
  }
  return files;
}

nanoseconds now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

/// The file tells of the namespace that a process's children will be in; mostly that is its own.
std::optional<LiveClocks> clocks_of(pid_t root) {
  const std::string process = "/proc/" + std::to_string(root);
  std::error_code error;
  const auto own = std::filesystem::read_symlink(process + "/ns/time", error);
  if (!error && own != std::filesystem::read_symlink(process + "/ns/time_for_children", error)) return std::nullopt;
  // A kernel without time namespaces has neither file: one clock for all.
  const ClockOffsets none;
  const ClockOffsets theirs = parse_timens_offsets(text_of(process + "/timens_offsets")).value_or(none);
  const ClockOffsets ours = parse_timens_offsets(text_of("/proc/self/timens_offsets")).value_or(none);
  return LiveClocks{now(CLOCK_MONOTONIC) - ours.monotonic + theirs.monotonic,
                    now(CLOCK_BOOTTIME) - ours.boottime + theirs.boottime};
}

}  // namespace

LiveTree read_live_tree(pid_t root) {
  LiveTree tree;
  tree.clocks = clocks_of(root);
  const ProcessList processes = list_processes();
  for (const pid_t pid : tree_of(processes, root)) {
    const std::string process = "/proc/" + std::to_string(pid);
    tree.processes.push_back({pid, own_pid(text_of(process + "/status"), pid), processes.at(pid).name, read_limits(pid),
                              regular_files(process + "/fd")});
  }
  return tree;
}

}  // namespace lockstep::cli
