/// The one who waits for every child of the test program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace lockstep::e2e {

/// Makes the test program the parent of all orphans below it (restored trees among them), and waits for whatever
/// ends, so that no pid stays taken: CRIU can restore a tree only when its pids are free.
///
/// One thread of its own; all members may be called from any thread.
class Reaper {
 public:
  [[nodiscard]] static Reaper& instance();

  /// Forks. `child` runs in the child, must not return, and may call only what is safe after fork().
  [[nodiscard]] pid_t spawn(const std::function<void()>& child);
  /// True for a process that was spawned here and has not ended.
  [[nodiscard]] bool started(pid_t pid);
  /// The wait status of a spawned process once it has ended; nothing when it still runs after `limit`.
  [[nodiscard]] std::optional<int> wait(pid_t pid, std::chrono::milliseconds limit);
  /// Ends every process below the test program. For the end of a test.
  void end_all();

  ~Reaper();

 private:
  Reaper();
  void run(const std::stop_token& stop);
  void reap(pid_t pid);

  std::mutex mutex_;
  std::condition_variable ended_;
  std::condition_variable_any spawned_one_;
  bool has_new_child_ = false;
  std::map<pid_t, std::optional<int>> spawned_;
  std::jthread thread_;  // last: it uses the others
};

/// The processes whose parent is this one, dead ones included.
[[nodiscard]] std::vector<pid_t> children_of_this_process();

}  // namespace lockstep::e2e
