#include "tests/bench/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "common/fd.hpp"

namespace lockstep::bench {
namespace {

[[noreturn]] void throw_errno(const std::string& what, int error = errno) {
  throw std::system_error(error, std::generic_category(), what);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string neighbour(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

Child Child::start(const std::vector<std::string>& command, const std::string& log) {
  const Fd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out) throw_errno("create " + log);
  std::vector<std::string> copy = command;
  const std::vector<char*> arguments = pointers_to(copy);
  return fork([&] {
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(out.get(), STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    const std::string problem = "can't execute " + command[0] + "\n";
    if (::write(STDERR_FILENO, problem.data(), problem.size()) < 0) ::_exit(126);
    ::_exit(127);
  });
}

Child Child::fork(const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid > 0) return Child(pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  body();
  ::_exit(125);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  for (int i = 0; i < 200; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    ::usleep(10'000);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

ProcessSize size_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  ProcessSize size;
  std::string key;
  while (file >> key) {
    if (key == "VmHWM:") file >> size.peak_kib;
    if (key == "VmRSS:") file >> size.rss_kib;
    if (key == "Threads:") file >> size.threads;
  }
  return size;
}

Command::Command(std::string path, const std::map<std::string, std::string>& environment) : path_(std::move(path)) {
  for (const auto& [name, value] : environment) environment_.push_back(name + "=" + value);
}

void Command::exec() {
  const std::vector<char*> environment = pointers_to(environment_);
  char* const arguments[] = {path_.data(), nullptr};
  ::execve(path_.c_str(), arguments, environment.data());
  ::_exit(127);
}

RunCost Command::run() {
  const std::vector<char*> environment = pointers_to(environment_);
  char* const arguments[] = {path_.data(), nullptr};
  pid_t pid = -1;
  const TimePoint begin = Clock::now();
  if (const int error = ::posix_spawn(&pid, path_.c_str(), nullptr, nullptr, arguments, environment.data());
      error != 0) {
    throw_errno("start " + path_, error);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("waitpid");
  }
  const Duration wall = Clock::now() - begin;
  return {wall, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
}

}  // namespace lockstep::bench
