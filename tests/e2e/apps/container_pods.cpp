#include "tests/e2e/apps/container_pods.hpp"

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::apps {

ContainerPods::ContainerPods(std::size_t count, const std::vector<std::string>& contents)
    : cluster_(count, contents, e2e::program(kLimitsShim)) {
  // Servers that are not root have to find their way to their data.
  std::filesystem::permissions(dir(), std::filesystem::perms(0755));
}

void ContainerPods::start(const Launch& launch) {
  const std::string folder = data(launch.member);
  // System V shared memory and /dev/shm are the container's own then, and saved with it. What a killed process has left
  // in an IPC namespace that the pod keeps would be in the way of its restore.
  std::vector<std::string> options{"--ipc", "private", "--log-driver", "k8s-file", "--pidfile", pidfile(launch.member)};
  options.insert(options.end(), {"--volume", folder + ":" + folder, "--workdir", folder});
  if (!launch.user.empty()) options.insert(options.end(), {"--user", launch.user});
  cluster_.start_member(launch.pod, launch.member, options, launch.command);
  folders_[launch.member] = cluster_.podman().field(launch.member, "{{.StaticDir}}");
}

std::string ContainerPods::start_failure(const std::string& member) const {
  return cluster_.podman().try_run({"container", "inspect", member, "--format", "{{.State.Error}}"}).out;
}

std::string ContainerPods::write_group(bool keeps_files) {
  std::string text = cluster_.group_header("apps") + kDeadlines + "members:\n";
  for (const Member& member : members()) {
    text += "- id: " + member.id + "\n  container: " + member.id + "\n";
    if (keeps_files) {
      text +=
          "  images: " + (kept() / member.id).string() + ".tar.zst\n  commands:\n" + command_to_keep_data(member.id);
    }
  }
  e2e::write_file(dir() / "group.yaml", text);
  return dir() / "group.yaml";
}

std::uint64_t ContainerPods::image_bytes(const std::string& member) const {
  return image_bytes_in(folders_.at(member) / "checkpoint");
}

void ContainerPods::end_members(const std::vector<pid_t>& /*processes*/) {
  std::vector<std::string> command{"rm", "--force", "--time", "0"};
  for (const Member& member : members()) command.push_back(member.id);
  cluster_.podman().run(command);
}

std::string ContainerPods::go_back() {
  put_data_back();
  return dir() / "group.yaml";
}

}  // namespace lockstep::apps
