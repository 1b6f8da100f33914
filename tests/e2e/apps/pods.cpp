#include "tests/e2e/apps/pods.hpp"

#include <stdexcept>

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

// The line at the end tells that the mounts are there.
constexpr auto kHold =
    "mount -t tmpfs -o mode=1777 tmpfs /dev/shm && "
    "mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts && "
    "echo mounted && exec sleep infinity";

}  // namespace

Pods::Pods(std::size_t count) : cluster_(count, e2e::Agents::node) {
  // Servers that drop root have to find their way to their data.
  std::filesystem::permissions(cluster_.dir(), std::filesystem::perms(0755));
  for (std::size_t pod = 0; pod < count; ++pod) holders_.push_back(make_holder(pod));
}

e2e::Process Pods::make_holder(std::size_t pod) {
  const auto log = cluster_.dir() / "run-pods" / (std::to_string(pod) + "-" + std::to_string(++made_) + ".log");
  // Slave: network namespaces that are deleted outside are not to live on here.
  e2e::Process holder =
      e2e::Process::start({.command = {"unshare", "--mount", "--propagation", "slave", "sh", "-c", kHold}, .log = log});
  const auto mounted = [&log] { return e2e::read_file(log).find("mounted") != std::string::npos; };
  if (!e2e::wait_until([&] { return mounted() || !holder.running(); }, 20s) || !mounted()) {
    throw std::runtime_error("pod " + std::to_string(pod) + " gets no mounts: " + e2e::read_file(log));
  }
  return holder;
}

std::vector<std::string> Pods::with_mounts(std::size_t pod) const {
  return {"nsenter", "--mount=/proc/" + std::to_string(holders_.at(pod).pid()) + "/ns/mnt"};
}

std::filesystem::path Pods::shared_memory(std::size_t pod) const {
  return "/proc/" + std::to_string(holders_.at(pod).pid()) + "/root/dev/shm";
}

std::vector<std::string> Pods::command_to_keep_shared_memory(std::size_t pod,
                                                             const std::filesystem::path& folder) const {
  return {"cp", "-a", shared_memory(pod).string() + "/.", folder};
}

void Pods::renew(const std::filesystem::path& from) {
  for (std::size_t pod = 0; pod < count(); ++pod) {
    cluster_.network().replace_pod(pod);
    e2e::Process holder = make_holder(pod);
    const std::string to = "/proc/" + std::to_string(holder.pid()) + "/root/dev/shm/";
    const std::filesystem::path old = from.empty() ? shared_memory(pod) : from / std::to_string(pod);
    e2e::must_run({"cp", "-a", old.string() + "/.", to});
    holders_[pod] = std::move(holder);
  }
}

e2e::CommandResult Pods::run(std::size_t pod, const std::vector<std::string>& command,
                             std::chrono::milliseconds limit) {
  return e2e::run_command(command, limit, netns(pod));
}

}  // namespace lockstep::apps
