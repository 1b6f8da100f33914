/// `lockstep setup`: has the container runtimes' CRIU run our hook, by their configuration files in /etc/criu.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace lockstep::cli {

struct SetupOptions {
  std::string runtime = "all";  ///< runc, crun, all
  std::string hook;             ///< empty: the one that was installed with this program
  std::string root;             ///< a folder in the place of /
  bool undo = false;
  bool json = false;
};

/// What was done to one file.
struct SetupResult {
  std::string runtime;
  std::string path;
  std::string change;  ///< "written", "removed", "unchanged"
};

[[nodiscard]] int run_setup_command(const SetupOptions& options);

// --- the parts that tests and doctor look at ------------------------------------------------------------------------

/// The file that a runtime ("runc", "crun") hands to CRIU.
[[nodiscard]] std::string criu_config_of(std::string_view runtime, const std::string& root = {});
/// Writes or removes the blocks. Nothing is changed where one of the files can't be.
[[nodiscard]] Result<std::vector<SetupResult>> setup_files(const SetupOptions& options, const std::string& hook);

}  // namespace lockstep::cli
