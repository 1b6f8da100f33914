/// Programs that the tests start.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::e2e {

/// How to start a program: in a session of its own, standard input from /dev/null.
struct Start {
  std::vector<std::string> command;
  std::filesystem::path log;   ///< for output and errors; truncated
  std::string netns = {};      ///< path of a network namespace; empty: the test's own
  int inherit = -1;            ///< a descriptor that the program gets as its descriptor 5
  bool dies_with_test = true;  ///< false for what CRIU dumps: the setting would come back and kill the restored tree
};

/// A started program, killed when its owner goes away. Signals go through a pidfd: a restored tree that has got the
/// same pid is never meant.
class Process {
 public:
  [[nodiscard]] static Process start(const Start& start);
  Process(Process&&) = default;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::filesystem::path& log() const { return log_; }
  [[nodiscard]] bool running() const { return !wait(0ms); }
  void signal(int number) const;
  /// The exit code, or 128 + the signal that ended it; nothing when it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit) const;
  /// SIGTERM, and SIGKILL when it still runs after `limit`. Returns as wait().
  std::optional<int> stop(std::chrono::milliseconds limit = 5s);
  void kill();

 private:
  Process() = default;
  pid_t pid_ = -1;
  Fd pidfd_;
  std::filesystem::path log_;
};

struct CommandResult {
  int exit_code = -1;  ///< -1: killed, since it ran longer than allowed
  std::string out;
  std::string err;
};

/// Runs a command to its end, at most for `limit`.
[[nodiscard]] CommandResult run_command(const std::vector<std::string>& command, std::chrono::milliseconds limit = 30s,
                                        const std::string& netns = {});
/// Runs a command that has to succeed; throws with its output when it does not.
void must_run(const std::vector<std::string>& command, const std::string& netns = {});

/// The state letter of a process in /proc (R, S, D, t: traced and stopped, T, Z), 0 when there is none.
[[nodiscard]] char state_of(pid_t pid);
[[nodiscard]] inline bool exists(pid_t pid) { return state_of(pid) != 0; }

}  // namespace lockstep::e2e
