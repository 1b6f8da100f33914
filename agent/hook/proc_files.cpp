#include "agent/hook/proc_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lockstep::hook {
namespace {

std::string proc_path(pid_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

constexpr std::size_t kLineLimit = 4096;

}  // namespace

Result<std::string> read_all(const Fd& fd, const std::string& name, std::size_t limit) {
  std::string text;
  std::array<char, 4096> chunk;  // not cleared: only what read() fills is looked at
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read " + name);
    if (got == 0) return text;
    if (text.size() + static_cast<std::size_t>(got) > limit) {
      return fail(ErrorCode::invalid, "read " + name, "larger than " + std::to_string(limit) + " bytes");
    }
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

Result<std::string> read_small_file(const std::string& path, std::size_t limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::system;
    return Failure(Error{code, errno, "open " + path, {}});
  }
  return read_all(fd, path, limit);
}

Result<std::uint64_t> netns_inode_of(pid_t pid) {
  const std::string path = proc_path(pid, "ns/net");
  struct stat status {};
  if (::stat(path.c_str(), &status) < 0) return fail_errno("stat " + path);
  return static_cast<std::uint64_t>(status.st_ino);
}

Result<std::string> read_boot_id() {
  auto text = read_small_file("/proc/sys/kernel/random/boot_id", kLineLimit);
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

Result<std::uint64_t> start_time_in(std::string_view stat) {
  const Failure bad = fail(ErrorCode::invalid, "parse /proc/PID/stat", "no start time in it");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return bad;
  stat.remove_prefix(name_end + 1);
  // What follows the name's bracket is " STATE ...": the state is field 3.
  for (int field = 3; field <= 22; ++field) {
    stat.remove_prefix(std::min(stat.find(' '), stat.size()));
    if (stat.empty()) return bad;
    stat.remove_prefix(1);
  }
  std::uint64_t ticks = 0;
  const auto parsed = std::from_chars(stat.data(), stat.data() + stat.size(), ticks);
  if (parsed.ec != std::errc{}) return bad;
  return ticks;
}

Result<std::uint64_t> start_time_of(pid_t pid) {
  const auto stat = read_small_file(proc_path(pid, "stat"), kLineLimit);
  if (!stat) return Failure(stat.error());
  return start_time_in(*stat);
}

}  // namespace lockstep::hook
