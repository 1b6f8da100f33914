#include "tests/e2e/harness/network.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tests/e2e/harness/process.hpp"

namespace lockstep::e2e {
namespace {

const std::string kPrefix = "lockstep-e2e-";

std::uint64_t inode_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw std::system_error(errno, std::generic_category(), "stat " + path);
  return status.st_ino;
}

void kill_all_in(std::uint64_t netns) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    struct stat status {};
    if (pid <= 0 || ::stat((entry.path() / "ns/net").c_str(), &status) != 0) continue;
    if (status.st_ino == netns) ::kill(pid, SIGKILL);
  }
}

void ip(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ip");
  must_run(arguments);
}

}  // namespace

Namespace::Namespace(const std::string& suffix) {
  static std::atomic<int> counter = 0;
  name_ = kPrefix + std::to_string(::getpid()) + "-" + std::to_string(++counter) + "-" + suffix;
  ip({"netns", "add", name_});
}

Namespace::~Namespace() { (void)run_command({"ip", "netns", "delete", name_}); }

std::uint64_t Namespace::inode() const { return inode_of(path()); }

void remove_stale_namespaces() {
  std::error_code missing;
  std::vector<std::string> stale;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", missing)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    if (!exists(std::atoi(name.c_str() + kPrefix.size()))) stale.push_back(name);
  }
  for (const std::string& name : stale) {
    kill_all_in(inode_of("/run/netns/" + name));
    ip({"netns", "delete", name});
  }
}

Network::Network(std::size_t pods) : hub_("hub") {
  const std::string& hub = hub_.name();
  ip({"-n", hub, "link", "set", "lo", "up"});
  ip({"-n", hub, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"});
  ip({"-n", hub, "addr", "add", hub_address() + "/24", "dev", "br0"});
  ip({"-n", hub, "addr", "add", "fd78::1/64", "dev", "br0", "nodad"});
  ip({"-n", hub, "link", "set", "br0", "up"});
  for (std::size_t index = 0; index < pods; ++index) pods_.push_back(make_pod(index));
}

std::unique_ptr<Namespace> Network::make_pod(std::size_t index) {
  const std::string port = "port" + std::to_string(index);
  auto pod = std::make_unique<Namespace>("pod" + std::to_string(index));
  ip({"-n", hub_.name(), "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pod->name()});
  ip({"-n", hub_.name(), "link", "set", port, "master", "br0", "up"});
  ip({"-n", pod->name(), "link", "set", "lo", "up"});
  ip({"-n", pod->name(), "addr", "add", address4(index) + "/24", "dev", "eth0"});
  ip({"-n", pod->name(), "addr", "add", address6(index) + "/64", "dev", "eth0", "nodad"});
  ip({"-n", pod->name(), "link", "set", "eth0", "up"});
  return pod;
}

void Network::replace_pod(std::size_t index) {
  // Deleting the port deletes the old pod's end with it, whoever still holds its namespace.
  ip({"-n", hub_.name(), "link", "delete", "port" + std::to_string(index)});
  pods_[index] = make_pod(index);
  // The others would send to the old pod's hardware address until they notice.
  for (const auto& other : pods_) must_run({"ip", "-n", other->name(), "neigh", "flush", "all"});
}

}  // namespace lockstep::e2e
