#include "tests/e2e/harness/reaper.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::e2e {

Reaper& Reaper::instance() {
  static Reaper reaper;
  return reaper;
}

Reaper::Reaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    throw std::system_error(errno, std::generic_category(), "prctl PR_SET_CHILD_SUBREAPER");
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Reaper::~Reaper() { end_all(); }

pid_t Reaper::spawn(const std::function<void()>& child) {
  // Held over the fork, so that the child can't be waited for before it is known.
  const std::lock_guard lock(mutex_);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    child();
    ::_exit(127);
  }
  spawned_[pid] = std::nullopt;
  has_new_child_ = true;
  spawned_one_.notify_one();
  return pid;
}

bool Reaper::started(pid_t pid) {
  const std::lock_guard lock(mutex_);
  const auto found = spawned_.find(pid);
  return found != spawned_.end() && !found->second;
}

std::optional<int> Reaper::wait(pid_t pid, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, limit, [&] { return spawned_[pid].has_value(); });
  return spawned_[pid];
}

void Reaper::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    // Blocks: a thread that polls takes a tenth of a processor, and time from the programs that are measured.
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT) == 0) {
      reap(ended.si_pid);
    } else if (errno == ECHILD) {
      // Nobody below this process: only spawn() can change that, orphans come from children.
      std::unique_lock lock(mutex_);
      spawned_one_.wait(lock, stop, [this] { return std::exchange(has_new_child_, false); });
    }
  }
}

void Reaper::reap(pid_t pid) {
  const std::lock_guard lock(mutex_);
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return;
  // A restored tree has the pid of the one that was started: only the first death is that one's.
  const auto found = spawned_.find(pid);
  if (found != spawned_.end() && !found->second) found->second = status;
  ended_.notify_all();
}

void Reaper::end_all() {
  // Whose parent is killed becomes our child, and is killed in the next turn.
  (void)wait_until(
      [] {
        const auto left = children_of_this_process();
        for (const pid_t pid : left) ::kill(pid, SIGKILL);
        return left.empty();
      },
      10s);
}

std::vector<pid_t> children_of_this_process() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    // "PID (NAME) STATE PARENT …": the name may hold anything, so count from its closing bracket.
    const std::string stat = read_file(entry.path() / "stat");
    const auto bracket = stat.rfind(')');
    if (bracket == std::string::npos || stat.size() < bracket + 4) continue;
    if (std::atoi(stat.c_str() + bracket + 4) == ::getpid()) found.push_back(pid);
  }
  return found;
}

}  // namespace lockstep::e2e
