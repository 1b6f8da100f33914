/// criu-coordinator.json: what criu-coordinator, another tool of the same purpose, is told about members. Who moves
/// from there leaves these files where they are. Two forms, both read as that tool reads them:
///
///   in the images folder     {"id": "A", "dependencies": "B:C", "address": "127.0.0.1", "port": "8080"}
///   for the whole machine    {"address": …, "port": …, "dependencies": {"A": ["B", "C"], "B": ["A"], "C": ["A"]}}
///
/// Pure. Keys that are not known are not looked at, as there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"

namespace lockstep::hook {

/// The name of either file; the second one is in this folder.
inline constexpr const char* kCoordinatorFile = "criu-coordinator.json";
inline constexpr const char* kCoordinatorConfig = "/etc/criu/criu-coordinator.json";

struct CoordinatorEntry {
  MemberId id;                         ///< empty: the file has nothing about this member
  std::vector<MemberId> dependencies;  ///< sorted, itself among them
  std::string broker;                  ///< its address; empty where the file names none
};

/// The file of an images folder. `name` is for messages.
[[nodiscard]] Result<CoordinatorEntry> parse_coordinator_file(std::string_view text, const std::string& name);

/// The file of the machine. `who`: the container's id, or without one the process's name. The id is the longest key
/// that `who` begins with; the dependencies are all that are connected with it, whoever names whom.
[[nodiscard]] Result<CoordinatorEntry> parse_coordinator_config(std::string_view text, const std::string& name,
                                                                std::string_view who);

}  // namespace lockstep::hook
