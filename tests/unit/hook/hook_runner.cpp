#include "tests/unit/hook/hook_runner.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "agent/hook/proc_files.hpp"

namespace lockstep::hook::test {

RunningProgram::RunningProgram(const std::vector<std::string>& command,
                               const std::map<std::string, std::string>& environment) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw std::runtime_error("pipe2");
  log_ = Fd(ends[0]);
  const Fd theirs(ends[1]);
  std::vector<std::string> pairs;
  for (const auto& [name, value] : environment) pairs.push_back(name + "=" + value);
  std::vector<char*> variables;
  for (std::string& pair : pairs) variables.push_back(pair.data());
  variables.push_back(nullptr);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDERR_FILENO);
  const int error = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("spawn " + command.front());
}

HookOutcome RunningProgram::wait() {
  HookOutcome outcome;
  outcome.log = read_all(log_, "the program's output", std::size_t{1} << 20).value_or("");
  int status = 0;
  ::waitpid(pid_, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

HookPlace::HookPlace(const std::string& action) {
  environment = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
                 {"CRTOOLS_SCRIPT_ACTION", action},
                 {"CRTOOLS_IMAGE_DIR", images.path()},
                 {"CRTOOLS_INIT_PID", std::to_string(::getpid())},
                 {"LOCKSTEP_SOCKET_DIR", sockets.path()},
                 {"LOCKSTEP_BROKER", ""},
                 {"LOCKSTEP_HOOK_SILENCE_MS", "10000"}};
}

std::string HookPlace::pod_socket() const {
  return sockets / ("pod-" + std::to_string(netns_inode_of(::getpid()).value()) + ".sock");
}

}  // namespace lockstep::hook::test
