/// Podman's command lines for one member, and what its answers say. Pure: nothing is started and nothing is looked at.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "cli/criu_command.hpp"
#include "cli/group_file.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

struct ContainerRuntime {
  std::string name;         ///< "runc", or a path of it; empty: unknown
  std::string criu_config;  ///< the file that the container's annotation names instead of the runtime's; empty: none
};

/// What `podman container inspect` tells of one container.
struct PodmanContainer {
  std::string id;
  std::string name;
  std::string status;  ///< "running", "exited", …
  bool running = false;
  pid_t pid = 0;           ///< of the last run: Podman goes on naming it when the container has ended
  std::string pod;         ///< id of its pod; empty: in none
  std::string network_of;  ///< id of the container whose network it shares (a pod's first one); empty: its own
  ContainerRuntime runtime;
  std::string static_dir;  ///< Podman's folder for it, in which CRIU's log and the folder `checkpoint` are
};

/// What `podman pod inspect` tells of one pod.
struct PodmanPod {
  std::string id;
  std::string infra;  ///< id of the container that holds its namespaces
};

/// What an exported checkpoint says of its container (config.dump, spec.dump).
struct ArchivedContainer {
  std::string id;
  std::string name;
  std::string pod;
  std::string static_dir;  ///< where it was on the machine of the dump
  ContainerRuntime runtime;
};

[[nodiscard]] Result<PodmanContainer> parse_podman_container(std::string_view json);
[[nodiscard]] Result<PodmanPod> parse_podman_pod(std::string_view json);
[[nodiscard]] Result<ArchivedContainer> parse_archived_container(std::string_view config, std::string_view spec);

/// `work` is the folder that takes the command's output. The hook gets nothing from our environment: between it and us
/// are Podman, runc and CRIU. The broker knows it by its container's id, and on restore by the record.
///
/// `staging` is a temporary folder, where there are "images". A checkpoint is exported into it, and only the whole
/// round's commit puts it into its place. Where that is a folder the same command, which Podman ends after the round,
/// unpacks the export in it, or packs it in it before Podman starts.
[[nodiscard]] CriuCommand podman_checkpoint(const GroupMember& member, const std::string& container,
                                            const std::string& work, bool leave_running, const std::string& staging);
/// `pod` is the id of the pod to put an imported container into; unused where the container still exists.
[[nodiscard]] CriuCommand podman_restore(const GroupMember& member, const std::string& container,
                                         const std::string& pod, const std::string& work, const std::string& log_folder,
                                         const std::string& staging);

}  // namespace lockstep::cli
