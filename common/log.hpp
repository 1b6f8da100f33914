/// Logging of the daemons: spdlog to stderr, one line for each event, UTC, so that lines of several machines can be
/// laid side by side. Cores and kernel code don't log: they return what happened.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "common/result.hpp"

namespace lockstep {

/// Sets up the default logger. `level`: debug, info, warning, error.
[[nodiscard]] Result<void> setup_log(const std::string& program, const std::string& level);

}  // namespace lockstep
