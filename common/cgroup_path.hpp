/// Which container a process is in, from the text of /proc/PID/cgroup: cgroup v1 (a line for each controller), v2, and
/// both at once; systemd's and cgroupfs' ways to name folders. Pure. A target of its own: the static hook links it.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

/// The innermost container's id: the last path component of 64 hexadecimal digits, with or without a runtime's prefix
/// ("docker-", "cri-containerd-", "crio-", "libpod-", …) and ".scope". Empty when there is none.
[[nodiscard]] std::string container_id_in(std::string_view cgroup);

/// The pod of that container: Kubernetes' uid ("0123abcd-…", with hyphens) or the id of Podman's pod. Empty when the
/// path names none.
[[nodiscard]] std::string pod_uid_in(std::string_view cgroup);

}  // namespace lockstep
