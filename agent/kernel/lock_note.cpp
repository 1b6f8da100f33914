#include "agent/kernel/lock_note.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>

namespace lockstep {
namespace {

constexpr std::size_t kMaxAgent = 48;
constexpr std::size_t kMaxRound = 64;
constexpr std::string_view kSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@-";

/// One word of a comment: nothing in it that nft, iptables or a terminal would take for more than text.
std::string word(std::string_view text, std::size_t limit) {
  std::string safe(text.substr(0, limit));
  for (char& c : safe)
    if (kSafe.find(c) == std::string_view::npos) c = '_';
  return safe;
}

/// 0 for what is no number.
template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

std::uint64_t inode_at(const char* path) {
  struct stat status {};
  return ::stat(path, &status) == 0 ? status.st_ino : 0;
}

/// Field 22 of /proc/PID/stat, counted behind the command's name, which may hold blanks; 0 when the process is gone.
std::uint64_t start_of(std::int32_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  return number<std::uint64_t>(std::string_view(text).substr(at + 1, text.find(' ', at + 1) - at - 1));
}

}  // namespace

LockOwner this_process(std::string agent) {
  const std::int32_t pid = ::getpid();
  return {std::move(agent), pid, start_of(pid), inode_at("/proc/self/ns/pid")};
}

OwnerState state_of(const LockOwner& owner) {
  if (owner.pid <= 0 || owner.pid_namespace == 0 || owner.pid_namespace != inode_at("/proc/self/ns/pid"))
    return OwnerState::unknown;
  if (::kill(owner.pid, 0) < 0 && errno == ESRCH) return OwnerState::dead;
  const std::uint64_t start = start_of(owner.pid);
  // Where /proc hides it the process is there all the same: kill() has found it.
  return start == 0 || start == owner.start ? OwnerState::alive : OwnerState::dead;
}

std::string_view to_string(OwnerState state) {
  switch (state) {
    case OwnerState::alive: return "alive";
    case OwnerState::dead: return "dead";
    case OwnerState::unknown: return "unknown";
  }
  return "unknown";
}

std::string owner_comment(const LockOwner& owner) {
  if (owner.pid == 0) return {};
  return "agent=" + word(owner.agent, kMaxAgent) + " pid=" + std::to_string(owner.pid) +
         " start=" + std::to_string(owner.start) + " pidns=" + std::to_string(owner.pid_namespace);
}

std::string round_comment(std::string_view round, std::int64_t armed_unix_ms) {
  if (armed_unix_ms == 0) return {};
  return "round=" + word(round, kMaxRound) + " since=" + std::to_string(armed_unix_ms);
}

void read_comment(std::string_view comment, LockNote& note) {
  while (!comment.empty()) {
    const std::string_view item = comment.substr(0, comment.find(' '));
    comment.remove_prefix(std::min(item.size() + 1, comment.size()));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    if (key == "agent") note.owner.agent = word(value, kMaxAgent);
    if (key == "pid") note.owner.pid = number<std::int32_t>(value);
    if (key == "start") note.owner.start = number<std::uint64_t>(value);
    if (key == "pidns") note.owner.pid_namespace = number<std::uint64_t>(value);
    if (key == "round") note.round = word(value, kMaxRound);
    if (key == "since") note.armed_unix_ms = number<std::int64_t>(value);
  }
}

}  // namespace lockstep
