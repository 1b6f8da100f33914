/// `lockstep preflight`: what would make a checkpoint of the group fail, while everything runs.
#pragma once

#include <string>

#include "cli/preflight.hpp"

namespace lockstep::cli {

struct PreflightOptions {
  std::string file;
  bool json = false;
};

/// kDone when a dump can be expected to work, kFailed when a tree can't be dumped as it is, kUsage when the file or the
/// machine is wrong.
[[nodiscard]] int run_preflight_command(const PreflightOptions& options);

/// What was found, for people.
[[nodiscard]] std::string preflight_text(const Preflight& preflight);

}  // namespace lockstep::cli
