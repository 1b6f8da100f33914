/// What the hooks of one CRIU have left in its log: how long each has taken.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/hook_times.hpp"

namespace lockstep::cli {

/// By the place of their barrier in phases_of(operation); none for a hook that has not run, or left no word.
using HookLog = std::array<std::optional<HookTimes>, kPhasesPerRound>;

/// Of a log's lines; those of another operation's hooks don't count. Of two of the same hook the later one does.
[[nodiscard]] HookLog parse_hook_log(std::string_view log, Operation operation);
/// Nothing from a log that can't be read, or is too large.
[[nodiscard]] HookLog read_hook_log(const std::string& path, Operation operation);

}  // namespace lockstep::cli
