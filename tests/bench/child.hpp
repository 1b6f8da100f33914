/// Programs that the benchmarks start, and what the kernel tells of their cost. Throws std::system_error.
#pragma once

#include <sys/resource.h>
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
  [[nodiscard]] bool running() const;
  [[nodiscard]] ProcessSize size() const;

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// What one run of a program has cost.
struct RunCost {
  Duration wall{};
  long max_rss_kib = 0;
  int exit_code = -1;  ///< 128 + the signal, where one has ended it
};

/// A program and its environment, made ready once so that only the kernel's work is between the two looks at the clock.
class Command {
 public:
  Command(std::string path, const std::map<std::string, std::string>& environment);
  /// posix_spawn to wait4.
  [[nodiscard]] RunCost run();

 private:
  std::string path_;
  std::vector<std::string> environment_;
};

}  // namespace lockstep::bench
