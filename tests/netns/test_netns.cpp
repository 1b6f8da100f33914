#include "tests/netns/test_netns.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "agent/kernel/netns_command.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

CommandOutcome run_command(const Fd& netns, std::vector<std::string> command, const std::string& input) {
  command.insert(command.begin(), "/usr/bin/env");
  return must(run_in_netns(netns, command, input, seconds(10)));
}

}  // namespace

TestNetns::TestNetns() {
  // unshare() is per thread: one that ends afterwards has no way back to find.
  std::thread([this] {
    if (::unshare(CLONE_NEWNET) == 0) fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  if (!fd_) throw std::runtime_error("unshare CLONE_NEWNET failed: run as root");
  run({"ip", "link", "set", "lo", "up"});
}

std::string TestNetns::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

std::string TestNetns::run(std::vector<std::string> command, const std::string& input) const {
  std::string name;
  for (const std::string& word : command) name += word + " ";
  CommandOutcome outcome = run_command(fd_, std::move(command), input);
  if (outcome.exit_code != 0) throw std::runtime_error(name + "failed: " + outcome.errors);
  return outcome.output;
}

int TestNetns::try_run(std::vector<std::string> command, const std::string& input) const {
  return run_command(fd_, std::move(command), input).exit_code;
}

void connect(const TestNetns& first, const TestNetns& second) {
  const TestNetns* const ends[] = {&first, &second};
  // Duplicate address detection would keep IPv6 down for the first second or two.
  for (const TestNetns* end : ends) end->run({"sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"});
  first.run({"ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", second.path()});
  for (int i = 0; i < 2; ++i) {
    const std::string number = std::to_string(i + 1);
    ends[i]->run({"ip", "addr", "add", "10.77.0." + number + "/24", "dev", "veth0"});
    ends[i]->run({"ip", "addr", "add", "fd77::" + number + "/64", "dev", "veth0", "nodad"});
    ends[i]->run({"ip", "link", "set", "veth0", "up"});
  }
  // The kernel takes a new link into use a while after it came up.
  UdpFlow there(first, second, "fd77::2", 9);
  UdpFlow back(second, first, "fd77::1", 9);
  for (int i = 0; i < 60; ++i)
    if (there.passes(milliseconds(50)) && back.passes(milliseconds(50))) return;
  throw std::runtime_error("no IPv6 packet passes between the namespaces");
}

}  // namespace lockstep::testing
