/// Whether the programs that a round needs are there and new enough: CRIU and the hook.
#pragma once

#include <string>
#include <vector>

#include "cli/group_file.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// Runs `criu --version` once for each distinct command of the group. invalid, with the member's name, when one cannot
/// be started or is too old. The result is a list of warnings.
[[nodiscard]] Result<std::vector<std::string>> check_criu(const GroupFile& group);

/// The hook's absolute path: the group's, else the one beside this program, else ../libexec/lockstep/ from it.
[[nodiscard]] Result<std::string> find_hook(const GroupFile& group);

/// True where the kernel's release ("6.18.3-amd64") is `major`.`minor` or later.
[[nodiscard]] bool kernel_is_at_least(std::string_view release, int major, int minor);

}  // namespace lockstep::cli
