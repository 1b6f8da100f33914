/// Runs the real lockstep-hook as CRIU does: by environment, with stderr as the log.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::hook::test {

using lockstep::test::read_file;
using lockstep::test::TempDir;
using lockstep::test::write_file;

struct HookOutcome {
  int exit_code = -1;  ///< -N when it was ended by signal N
  std::string log;     ///< what it wrote to stdout and stderr
};

/// A program that runs. Call from the main thread: the hook dies with the thread that started it.
class RunningProgram {
 public:
  RunningProgram(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment);
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] HookOutcome wait();

 private:
  pid_t pid_ = 0;
  Fd log_;
};

/// A place for one hook: an images folder, a folder of sockets, and the environment that tells of them.
struct HookPlace {
  TempDir images;
  TempDir sockets;
  std::map<std::string, std::string> environment;
  std::string program = LOCKSTEP_HOOK_PATH;

  explicit HookPlace(const std::string& action);
  [[nodiscard]] std::string node_socket() const { return sockets / "node.sock"; }
  [[nodiscard]] std::string pod_socket() const;
  [[nodiscard]] RunningProgram start() const { return {{program}, environment}; }
  [[nodiscard]] HookOutcome run() const { return start().wait(); }
};

}  // namespace lockstep::hook::test
