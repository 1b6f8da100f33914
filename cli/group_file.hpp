/// GROUP.yaml: which process trees are checkpointed and restored together, and how. lockstep-group(5) describes it for
/// users. Reading it looks at nothing but the file: whether pids, folders and programs exist is preflight's business.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands/member_command.hpp"
#include "cli/kubernetes/kubeconfig.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/group_keys.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// What dumps and restores a member (member_driver.hpp).
enum class Driver : std::uint8_t { criu, podman, kubelet };

/// One member as the file names it, with the group's defaults filled in and every path made absolute.
struct GroupMember {
  MemberId id;
  Driver driver = Driver::criu;
  std::optional<pid_t> pid;  ///< criu: either this
  std::string pidfile;       ///< or this
  std::string images;        ///< criu: a folder. podman: an archive, or a folder with what it would hold; or empty
  std::string pod;           ///< to restore into. criu: a namespace; empty: the one it was dumped from. podman: a pod.
                             ///< kubelet: the name of the Pod that it is in
  std::string container;     ///< criu: its id, may be empty. podman: its name or id. kubelet: its name in the Pod
  std::string ns;            ///< kubelet: the Pod's namespace; empty: the kubeconfig's, or the pod's that we are in
  std::string node;          ///< kubelet: where the Pod has to be; empty: wherever it is
  std::vector<std::string> criu;            ///< the command: a program and its first arguments; never empty
  std::vector<std::string> criu_options;    ///< the group's, then its own
  std::vector<std::string> podman;          ///< the command; never empty
  std::vector<std::string> podman_options;  ///< of `container checkpoint` and `container restore`
  KubernetesSettings kubernetes;            ///< the way to the API server
  ConnectionPolicy policy;                  ///< what it says itself; the rest is the group's
  std::vector<MemberCommand> commands;
};

struct GroupFile {
  std::string path;  ///< the file itself, as the user named it
  GroupId group;
  std::string broker;    ///< empty where the file names none
  std::string releases;  ///< empty: derived from the broker's endpoint
  std::string key;       ///< its file; empty: the environment's, or the default
  std::string socket_dir = "/run/lockstep";
  std::string hook;  ///< empty: the one that was installed with this program
  Deadlines deadlines;
  std::uint32_t lease_ms = 15'000;
  std::uint32_t in_flight_retries = 3;  ///< rounds after one that un-accepted connections have spoilt
  bool skip_in_flight = false;          ///< and then one that leaves them out of the images
  ConnectionPolicy policy;
  MemberOrder order = MemberOrder::detect;  ///< in which the runtime dumps the members of a pod
  std::vector<GroupMember> members;
};

/// The most rounds after the first one.
inline constexpr std::uint32_t kMaxInFlightRetries = 100;

/// Reads and checks a file. Errors name file, line and field.
[[nodiscard]] Result<GroupFile> load_group_file(const std::string& path);
/// The same from memory; relative paths are taken from `folder`.
[[nodiscard]] Result<GroupFile> parse_group_file(const std::string& yaml, const std::string& name,
                                                 const std::string& folder);

}  // namespace lockstep::cli
