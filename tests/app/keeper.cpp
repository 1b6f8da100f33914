/// lockstep-keeper COMMAND [ARGUMENT…]: runs a command, and leaves no process of it behind.
///
/// A restored tree's parent is whoever takes orphans. Where that is a container's first process that never waits, the
/// tree's pids stay taken after its death, and CRIU can't restore it once more. The keeper takes the orphans of all
/// that the command starts, and waits for them. When the command has ended, or on SIGTERM or SIGINT, or when the
/// keeper's own parent dies, it ends them all. Its exit code is the command's, or 128 + the signal that ended the
/// command.
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = 3s;  ///< between SIGTERM and SIGKILL

void fail(const char* what) {
  std::fprintf(stderr, "lockstep-keeper: %s: %s\n", what, std::strerror(errno));
  std::exit(127);
}

/// The processes whose parent is this one, dead ones included.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) fail("open /proc");
  while (const dirent* entry = ::readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    std::string line;
    std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), line);
    // "PID (NAME) STATE PARENT …": the name may hold anything, so count from its closing bracket.
    const auto bracket = line.rfind(')');
    if (bracket == std::string::npos || line.size() < bracket + 4) continue;
    if (std::atoi(line.c_str() + bracket + 4) == ::getpid()) found.push_back(pid);
  }
  ::closedir(proc);
  return found;
}

void reap_all() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

/// Ends every descendant: whose parent is ended becomes a child of the keeper, and is ended in the next turn.
void end_all() {
  int signal = SIGTERM;
  auto limit = Clock::now() + kPatience;
  while (true) {
    reap_all();
    const std::vector<pid_t> left = children();
    if (left.empty()) return;
    for (const pid_t pid : left) ::kill(pid, signal);
    if (Clock::now() > limit) signal = SIGKILL;
    ::usleep(10'000);
  }
}

/// Waits until the command has ended, reaping what else ends. Returns its exit code.
int wait_for(pid_t command, const sigset_t& signals) {
  auto limit = Clock::time_point::max();
  while (true) {
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended == command) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (Clock::now() > limit) ::kill(command, SIGKILL);
    const timespec tick{.tv_sec = 0, .tv_nsec = 200'000'000};
    const int signal = ::sigtimedwait(&signals, nullptr, &tick);
    if (signal != SIGTERM && signal != SIGINT && signal != SIGHUP) continue;
    ::kill(command, SIGTERM);
    // Its own clean-up may take a while; ours must not take for ever.
    if (limit == Clock::time_point::max()) limit = Clock::now() + 20s;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: lockstep-keeper COMMAND [ARGUMENT…]\n");
    return 2;
  }
  const pid_t parent = ::getppid();
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) fail("prctl PR_SET_CHILD_SUBREAPER");
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) fail("prctl PR_SET_PDEATHSIG");
  if (::getppid() != parent) return 127;  // it died before we had asked to be told

  sigset_t signals, previous;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &previous);

  const pid_t command = ::fork();
  if (command < 0) fail("fork");
  if (command == 0) {
    ::sigprocmask(SIG_SETMASK, &previous, nullptr);
    ::execvp(argv[1], argv + 1);
    fail(argv[1]);
  }
  const int code = wait_for(command, signals);
  end_all();
  return code;
}
