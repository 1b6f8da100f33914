/// `lockstep doctor`: looks for everything on this machine that would make a round fail, and says what to do about it.
#pragma once

#include <string>
#include <vector>

#include "cli/machine/check.hpp"

namespace lockstep::cli {

struct DoctorOptions {
  std::vector<std::string> criu{"criu"};
  std::string broker;  ///< empty: see broker_address()
  std::string key;     ///< empty: see broker_key()
  std::string socket_dir = "/run/lockstep";
  std::string root;  ///< a folder in the place of /, for the runtimes' configuration files
  bool json = false;
};

/// Exit code 0: a round would work; 1: it would not.
[[nodiscard]] int run_doctor_command(const DoctorOptions& options);

/// What it finds, in the order in which things depend on one another.
[[nodiscard]] std::vector<Check> examine(const DoctorOptions& options);

[[nodiscard]] std::string doctor_text(const std::vector<Check>& checks);
[[nodiscard]] std::string doctor_json(const std::vector<Check>& checks);

}  // namespace lockstep::cli
