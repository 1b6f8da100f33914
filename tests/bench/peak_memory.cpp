#include "tests/bench/peak_memory.hpp"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace lockstep::bench {
namespace {

/// The next stop or end of the child.
int next_status(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  return status;
}

void go_on(pid_t pid, int signal) { ::ptrace(PTRACE_CONT, pid, nullptr, signal); }

}  // namespace

long peak_memory_kib(Command& command) {
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    command.exec();
  }
  int status = next_status(pid);  // stopped by its exec()
  ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
  long peak = 0;
  for (; WIFSTOPPED(status); status = next_status(pid)) {
    const bool at_exit = status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
    if (at_exit) peak = size_of(pid).peak_kib;
    go_on(pid, at_exit || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error(command.path() + " has failed");
  return peak;
}

}  // namespace lockstep::bench
