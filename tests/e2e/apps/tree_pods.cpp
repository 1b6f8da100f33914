#include "tests/e2e/apps/tree_pods.hpp"

#include <signal.h>

#include <stdexcept>

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

// The line at the end tells that the mounts are there.
constexpr auto kHold =
    "mount -t tmpfs -o mode=1777 tmpfs /dev/shm && "
    "mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts && "
    "echo mounted && exec sleep infinity";

// The descriptors are opened again with the pod's mounts: CRIU looks for each file where the process stands.
constexpr auto kEnter = R"(cd "$1" && exec </dev/null >>"$2" 2>&1 && shift 2 && exec "$@")";

}  // namespace

TreePods::TreePods(std::size_t count) : cluster_(count, e2e::Agents::node) {
  // Servers that drop root have to find their way to their data.
  std::filesystem::permissions(cluster_.dir(), std::filesystem::perms(0755));
  for (std::size_t pod = 0; pod < count; ++pod) holders_.push_back(make_holder(pod));
}

e2e::Process TreePods::make_holder(std::size_t pod) {
  const auto log = dir() / "run-pods" / (std::to_string(pod) + "-" + std::to_string(++made_) + ".log");
  // Slave: network namespaces that are deleted outside are not to live on here.
  e2e::Process holder =
      e2e::Process::start({.command = {"unshare", "--mount", "--propagation", "slave", "sh", "-c", kHold}, .log = log});
  const auto mounted = [&log] { return e2e::read_file(log).find("mounted") != std::string::npos; };
  if (!e2e::wait_until([&] { return mounted() || !holder.running(); }, 20s) || !mounted()) {
    throw std::runtime_error("pod " + std::to_string(pod) + " gets no mounts: " + e2e::read_file(log));
  }
  return holder;
}

std::vector<std::string> TreePods::with_mounts(std::size_t pod) const {
  return {"nsenter", "--mount=/proc/" + std::to_string(holders_.at(pod).pid()) + "/ns/mnt"};
}

std::filesystem::path TreePods::shared_memory(std::size_t pod) const {
  return "/proc/" + std::to_string(holders_.at(pod).pid()) + "/root/dev/shm";
}

void TreePods::start(const Launch& launch) {
  std::vector<std::string> command = with_mounts(launch.pod);
  command.insert(command.end(), {"sh", "-c", kEnter, "sh", data(launch.member), log(launch.member)});
  // System V shared memory and semaphores belong to the tree then, and are saved with it.
  command.insert(command.end(), {"unshare", "--ipc"});
  if (!launch.user.empty()) {
    command.insert(command.end(), {"setpriv", "--reuid=" + launch.user, "--regid=" + launch.user, "--init-groups"});
  }
  command.insert(command.end(), launch.command.begin(), launch.command.end());
  processes_.push_back(e2e::Process::start({.command = command,
                                            .log = data(launch.member) / "start.log",
                                            .netns = netns(launch.pod),
                                            .dies_with_test = false}));
  e2e::write_file(pidfile(launch.member), std::to_string(processes_.back().pid()) + "\n");
}

std::string TreePods::start_failure(const std::string& member) const {
  return e2e::tail_of(data(member) / "start.log", 5);
}

std::string TreePods::write_group(bool keeps_files) {
  std::vector<e2e::GroupMember> group;
  for (const Member& member : members()) {
    // CRIU works with the pod's mounts.
    std::string settings = "criu: [";
    for (const std::string& word : with_mounts(member.pod)) settings += word + ", ";
    settings += "env, \"LD_PRELOAD=" + e2e::program(kLimitsShim) + "\", " + e2e::criu_path() + "]";
    if (keeps_files) {
      std::filesystem::create_directories(kept() / "shm");
      settings +=
          "\ncommands:\n" + command_to_keep_data(member.id) +
          command_at_frozen({"cp", "-a", shared_memory(member.pod).string() + "/.", kept_shared_memory(member.pod)});
    }
    group.push_back({.id = member.id, .pod = netns(member.pod), .settings = settings});
  }
  return cluster_.write_group(group, kDeadlines);
}

std::string TreePods::make_ready() {
  renew(SharedMemory::of_the_old_pods);
  return write_group();
}

void TreePods::end_members(const std::vector<pid_t>& processes) {
  for (const pid_t pid : processes) ::kill(pid, SIGKILL);
}

std::string TreePods::go_back() {
  put_data_back();
  renew(SharedMemory::that_was_kept);
  return write_group();
}

void TreePods::renew(SharedMemory source) {
  for (std::size_t pod = 0; pod < holders_.size(); ++pod) {
    cluster_.network().replace_pod(pod);
    e2e::Process holder = make_holder(pod);
    const std::string to = "/proc/" + std::to_string(holder.pid()) + "/root/dev/shm/";
    const auto from = source == SharedMemory::that_was_kept ? kept_shared_memory(pod) : shared_memory(pod);
    e2e::must_run({"cp", "-a", from.string() + "/.", to});
    holders_[pod] = std::move(holder);
  }
}

}  // namespace lockstep::apps
