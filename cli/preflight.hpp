/// What has to be right on this machine before a round is opened. Everything here happens while every task runs and no
/// pod is locked, so that a mistake costs nothing but its message.
#pragma once

#include <string>
#include <vector>

#include "cli/group_file.hpp"
#include "cli/member_driver.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

struct Preflight {
  std::vector<ReadyMember> members;   ///< in the file's order
  std::string hook;                   ///< absolute; empty where no member needs us to name it
  std::vector<std::string> warnings;  ///< for the user; nothing of it stops the round
};

[[nodiscard]] Result<Preflight> preflight_checkpoint(const GroupFile& group);
[[nodiscard]] Result<Preflight> preflight_restore(const GroupFile& group);

// --- a part that tests look at by itself ----------------------------------------------------------------------------

/// Whether the records are those of one and the same round of exactly this group; index by index.
[[nodiscard]] Result<void> check_records(const GroupFile& group, const std::vector<Record>& records);

}  // namespace lockstep::cli
