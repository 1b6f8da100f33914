/// `lockstep checkpoint` and `lockstep restore`: from a group's file to an exit code.
#pragma once

#include <string>

#include "schemas/messages.hpp"

namespace lockstep::cli {

struct GroupOptions {
  std::string file;
  std::string key;
  std::string broker;          ///< empty: see broker_address()
  bool leave_running = false;  ///< checkpoint only
  bool preflight = true;       ///< checkpoint only: look for what CRIU can't dump before anything is frozen
  bool json = false;
  bool quiet = false;
};

/// file -> preflight -> broker -> round -> aftermath -> report. The report goes to stdout, everything else to stderr.
[[nodiscard]] int run_group_command(Operation operation, const GroupOptions& options);

}  // namespace lockstep::cli
