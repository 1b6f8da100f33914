#include "tests/e2e/harness/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/reaper.hpp"

namespace lockstep::e2e {
namespace {

constexpr int kInheritedAs = 5;

Fd open_or_throw(const std::string& path, int flags) {
  Fd file(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!file) throw std::system_error(errno, std::generic_category(), "open " + path);
  return file;
}

/// Everything the child needs, made ready before the fork: after it, only system calls are safe.
struct Prepared {
  std::vector<char*> arguments;
  Fd input, output, errors, netns;
  int inherit = -1;
  bool dies_with_test = true;

  void exec() const {
    ::setsid();
    if (dies_with_test) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (netns && ::setns(netns.get(), CLONE_NEWNET) != 0) ::_exit(126);
    ::dup2(input.get(), 0);
    ::dup2(output.get(), 1);
    ::dup2(errors.get(), 2);
    // dup2() onto itself would leave the descriptor to be closed by exec.
    if (inherit == kInheritedAs) ::fcntl(inherit, F_SETFD, 0);
    if (inherit >= 0 && ::dup2(inherit, kInheritedAs) != kInheritedAs) ::_exit(126);
    // CRIU would have to bring back whatever else the test runner has left open.
    const int first = inherit >= 0 ? kInheritedAs + 1 : 3;
    ::syscall(SYS_close_range, first, ~0U, 0);
    if (inherit >= 0) ::syscall(SYS_close_range, 3, kInheritedAs - 1, 0);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
  }
};

Prepared prepare(const std::vector<std::string>& command, const std::string& netns) {
  Prepared prepared;
  for (const std::string& word : command) prepared.arguments.push_back(const_cast<char*>(word.c_str()));
  prepared.arguments.push_back(nullptr);
  prepared.input = open_or_throw("/dev/null", O_RDONLY);
  if (!netns.empty()) prepared.netns = open_or_throw(netns, O_RDONLY);
  return prepared;
}

}  // namespace

Process Process::start(const Start& start) {
  Prepared prepared = prepare(start.command, start.netns);
  std::filesystem::create_directories(start.log.parent_path());
  prepared.output = open_or_throw(start.log.string(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  prepared.errors = Fd(::fcntl(prepared.output.get(), F_DUPFD_CLOEXEC, 10));
  prepared.inherit = start.inherit;
  prepared.dies_with_test = start.dies_with_test;

  Process process;
  process.log_ = start.log;
  process.pid_ = Reaper::instance().spawn([&prepared] { prepared.exec(); });
  // It may have ended and been waited for already: then there is nothing left to signal either.
  process.pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid_, 0)));
  return process;
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = other.pid_;
    pidfd_ = std::move(other.pidfd_);
    log_ = std::move(other.log_);
  }
  return *this;
}

Process::~Process() { kill(); }

void Process::signal(int number) const {
  if (pidfd_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) const {
  const auto status = Reaper::instance().wait(pid_, limit);
  if (!status) return std::nullopt;
  return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
}

std::optional<int> Process::stop(std::chrono::milliseconds limit) {
  signal(SIGTERM);
  auto code = wait(limit);
  kill();
  return code;
}

void Process::kill() {
  if (!pidfd_) return;
  signal(SIGKILL);
  (void)wait(5s);
  pidfd_.reset();
}

CommandResult run_command(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                          const std::string& netns) {
  const TempDir dir;
  Prepared prepared = prepare(command, netns);
  prepared.output = open_or_throw(dir / "out", O_WRONLY | O_CREAT);
  prepared.errors = open_or_throw(dir / "err", O_WRONLY | O_CREAT);
  const pid_t pid = Reaper::instance().spawn([&prepared] { prepared.exec(); });
  CommandResult result;
  if (const auto status = Reaper::instance().wait(pid, limit)) {
    result.exit_code = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  } else {
    ::kill(pid, SIGKILL);
    (void)Reaper::instance().wait(pid, 5s);
  }
  result.out = read_file(dir / "out");
  result.err = read_file(dir / "err");
  return result;
}

void must_run(const std::vector<std::string>& command, const std::string& netns) {
  const CommandResult result = run_command(command, 30s, netns);
  if (result.exit_code == 0) return;
  std::string line;
  for (const std::string& word : command) line += word + ' ';
  throw std::runtime_error(line + "failed with " + std::to_string(result.exit_code) + ": " + result.err);
}

char state_of(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto bracket = stat.rfind(')');
  return bracket == std::string::npos || stat.size() < bracket + 3 ? '\0' : stat[bracket + 2];
}

}  // namespace lockstep::e2e
