/// Programs that the benchmarks start, and what the kernel tells of their cost. Throws std::system_error.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.hpp"

namespace lockstep::bench {

/// The path of a program of lockstep: the neighbour of this one.
[[nodiscard]] std::string neighbour(const std::string& name);

/// A process's memory and threads, from /proc/PID/status.
struct ProcessSize {
  long rss_kib = 0;
  long peak_kib = 0;
  long threads = 0;
};
[[nodiscard]] ProcessSize size_of(pid_t pid);

/// A process that ends with its owner, and with this process.
class Child {
 public:
  /// Runs `command`; output and errors go to the file `log`.
  [[nodiscard]] static Child start(const std::vector<std::string>& command, const std::string& log);
  /// Forks, and runs `body`, which must not return. For a process of one thread.
  [[nodiscard]] static Child fork(const std::function<void()>& body);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// What one run of a program has cost.
struct RunCost {
  Duration wall{};
  int exit_code = -1;  ///< 128 + the signal, where one has ended it
};

/// A program without arguments and its environment, made ready once so that only the kernel's work is between the two
/// looks at the clock.
class Command {
 public:
  Command(std::string path, const std::map<std::string, std::string>& environment);
  /// From posix_spawn() until it has been waited for.
  [[nodiscard]] RunCost run();
  /// Turns this process into the program.
  [[noreturn]] void exec();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<std::string> environment_;
};

}  // namespace lockstep::bench
