/// Runs a program inside a network namespace, without a shell, for a bounded time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep {

struct CommandOutcome {
  int exit_code = 0;  ///< 128 + the signal's number when a signal ended it
  std::string output;
  std::string errors;
};

/// Runs `arguments` (the first one is the program's path) in `netns` with `input` on its standard input, and waits.
/// After `limit` it is killed: `timeout`. An exit code other than 0 is no error here.
[[nodiscard]] Result<CommandOutcome> run_in_netns(const Fd& netns, const std::vector<std::string>& arguments,
                                                  std::string_view input, milliseconds limit);

}  // namespace lockstep
