/// What has to be right on this machine before a round is opened. Everything here happens while every task runs and no
/// pod is locked, so that a mistake costs nothing but its message.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/group_file.hpp"
#include "common/fd.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// A member of which all is known that CRIU's command line needs.
struct ReadyMember {
  const GroupMember* member = nullptr;  ///< in the GroupFile, which outlives this
  pid_t pid = 0;                        ///< dump: the root task. Restore: the one it had, as the host saw it
  Fd root;                              ///< dump: its pidfd
  PodId pod;                            ///< dump: where it lives. Restore: where it shall live
  Fd netns;                             ///< restore: that namespace
  std::string netns_path;               ///< restore: a path to it
  std::optional<Record> record;         ///< restore: out of the images folder
};

struct Preflight {
  std::vector<ReadyMember> members;   ///< in the file's order
  std::string hook;                   ///< absolute
  std::vector<std::string> warnings;  ///< for the user; nothing of it stops the round
};

[[nodiscard]] Result<Preflight> preflight_checkpoint(const GroupFile& group);
[[nodiscard]] Result<Preflight> preflight_restore(const GroupFile& group);

// --- the parts that tests look at one by one ------------------------------------------------------------------------

/// The record in an images folder; errors say what the folder is worth without it.
[[nodiscard]] Result<Record> read_record(const std::string& images);
/// Whether the records are those of one and the same round of exactly this group; index by index.
[[nodiscard]] Result<void> check_records(const GroupFile& group, const std::vector<Record>& records);
/// The pid in a pidfile: a number, and white space around it.
[[nodiscard]] Result<pid_t> read_pidfile(const std::string& path);
/// Whether the process is there and has not ended yet. A zombie has.
[[nodiscard]] bool is_running(pid_t pid);

}  // namespace lockstep::cli
