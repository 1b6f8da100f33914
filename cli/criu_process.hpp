/// One CRIU that we have started, from its start to its end.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/criu_command.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// How a process has ended.
struct ProcessExit {
  int code = 0;  ///< exit code, where `signal` is 0
  int signal = 0;
  [[nodiscard]] bool ok() const { return code == 0 && signal == 0; }
  /// "exit code 1", "killed by signal 9 (Killed)".
  [[nodiscard]] std::string text() const;
};

/// A child in a process group of its own: Ctrl-C on the terminal reaches us alone, and it is we who end the round in an
/// orderly way. Move-only. A child that still runs when its owner goes is killed with its group and reaped.
class CriuProcess {
 public:
  /// Starts it, with stdin from /dev/null and no signal blocked. not_found when there is no such program.
  [[nodiscard]] static Result<CriuProcess> start(const CriuCommand& command);

  CriuProcess(CriuProcess&& other) noexcept;
  CriuProcess& operator=(CriuProcess&&) = delete;
  ~CriuProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Becomes readable when the process has ended.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// Its end, once there is one; never waits.
  [[nodiscard]] std::optional<ProcessExit> poll();
  /// Signals the whole group: CRIU and the hook that it waits for. Nothing happens once it has been reaped.
  void signal_group(int signal) const;

 private:
  CriuProcess(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_ = 0;  ///< 0: moved away
  Fd pidfd_;
  std::optional<ProcessExit> exit_;
};

/// What a short program has printed, and how it ended.
struct Printed {
  ProcessExit exit;
  std::string output;  ///< stdout and stderr, at most 1 MiB
};
/// Blocks SIGINT, SIGTERM and SIGHUP (open_signal_fd()), so that what is started and unpacked is ended and removed before
/// this program goes.
[[nodiscard]] Result<Fd> hold_ending_signals();

/// Runs a program to its end, for at most `limit`; then it is killed and the result is a timeout.
///
/// Where SIGINT, SIGTERM and SIGHUP are blocked (hold_ending_signals()), they end it as well: refused. They stay pending.
[[nodiscard]] Result<Printed> run_program(const std::vector<std::string>& argv, milliseconds limit);

}  // namespace lockstep::cli
