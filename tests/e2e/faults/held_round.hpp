/// A round that stands still at one phase: one member's hook is held back there, everybody else has come as far as they
/// can and waits for it. What is killed or stopped then is hit at that very phase, however slow the machine is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::e2e {

/// An action script that runs lockstep's hook, but holds back one member's at one action, once.
class HoldingHook {
 public:
  explicit HoldingHook(std::filesystem::path dir);

  /// For a group file: the line that makes CRIU run it.
  [[nodiscard]] std::string setting() const { return "hook: " + script_.string() + "\n"; }
  void hold(const std::string& member, const std::string& action) const;
  [[nodiscard]] bool holds() const;
  /// Lets go whom it holds, or would hold.
  void let_go() const;

 private:
  std::filesystem::path dir_;
  std::filesystem::path script_;
};

/// A hook that waits for its answer.
struct WaitingHook {
  pid_t pid = 0;
  pid_t criu = 0;
  std::string round;
};

/// The hook of this member at this action, among the processes of this machine whose agents' folder is `socket_dir`.
[[nodiscard]] std::optional<WaitingHook> find_hook(const std::string& member, const std::string& action,
                                                   const std::string& socket_dir);
/// The same, once its event has reached the broker, and what that has ordered is done: it only waits for the others.
[[nodiscard]] std::optional<WaitingHook> await_hook(const Cluster& cluster, const std::string& member,
                                                    const std::string& action);

}  // namespace lockstep::e2e
