/// CRIU's command lines: what lockstep tells it, and why. Pure: nothing is started and nothing is looked at.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "cli/group_file.hpp"
#include "common/ids.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// A program to start: what CriuProcess needs to know.
struct CriuCommand {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< NAME=value, in addition to our own
  std::string output;                    ///< the file that takes stdout and stderr
  std::string log;                       ///< CRIU's log, for people and for error lines
  /// Its work is done elsewhere, and this only waits for the answer: ended early when the round is over before its member
  /// has come.
  bool remote = false;
  int pod_fd = -1;                       ///< handed to the child as descriptor kPodFd; -1: none. Borrowed.
};

/// The number under which a restoring CRIU finds the descriptor of its pod's namespace.
inline constexpr int kPodFd = 3;
/// CRIU's name for the namespace that it neither saves nor creates: the same in dump and restore.
inline constexpr std::string_view kPodKey = "lockstep-net";

/// What all members of one round share.
struct RoundContext {
  RoundId round;
  GroupId group;
  std::string hook;        ///< absolute path of lockstep-hook
  std::string socket_dir;  ///< where it finds the agents' sockets
  std::string broker;      ///< for a hook that finds no agent beside it
  std::chrono::milliseconds longest{};  ///< when the round's last deadline will have passed
};

[[nodiscard]] CriuCommand dump_command(const RoundContext& context, const GroupMember& member, pid_t pid,
                                       const PodId& pod, bool leave_running);
/// `pod_fd` is the target namespace. CRIU writes the root task's pid to restored_pidfile(images), which must not exist.
[[nodiscard]] CriuCommand restore_command(const RoundContext& context, const GroupMember& member, const PodId& pod,
                                          int pod_fd);
[[nodiscard]] std::string restored_pidfile(const std::string& images);

struct CriuVersion {
  int major = 0;
  int minor = 0;
  int patch = 0;
  [[nodiscard]] std::string text() const;
  auto operator<=>(const CriuVersion&) const = default;
};

/// The first that knows `--network-lock skip`.
inline constexpr CriuVersion kOldestCriu{3, 19, 0};
/// The first that dumps TCP sockets on Linux 6.16 and later.
inline constexpr CriuVersion kCriuForNewKernels{4, 2, 0};

/// Reads what `criu --version` prints ("Version: 4.2.1"); invalid for anything else.
[[nodiscard]] Result<CriuVersion> parse_criu_version(std::string_view output);

/// Out of a log: the lines that tell why it failed, CRIU's and Podman's errors and the hook's words, at most `limit` bytes,
/// the last ones where there are more. Empty when there are none. Errors that stop nothing are left out.
[[nodiscard]] std::string error_lines(std::string_view log, std::size_t limit);

}  // namespace lockstep::cli
