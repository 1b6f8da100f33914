#include "tests/e2e/harness/traffic.hpp"

#include <signal.h>

#include <algorithm>
#include <stdexcept>

namespace lockstep::e2e {
namespace {

constexpr auto kPort = "9000";

}  // namespace

Traffic::Traffic(std::filesystem::path dir, const Network& network, const TrafficOptions& options)
    : dir_(std::move(dir)), network_(network), options_(options) {
  std::vector<std::string> serve{"serve", "--port", kPort};
  if (options.dual_stack) serve.emplace_back("--dual-stack");
  if (options.ballast_mib > 0) serve.insert(serve.end(), {"--ballast", std::to_string(options.ballast_mib)});
  start("server", options.server_pod, serve);
  for (std::size_t index = 0; index < options.client_pods.size(); ++index) {
    start("client" + std::to_string(index), options.client_pods[index],
          {"connect", "--connections", std::to_string(options.connections), "--to",
           Network::address4(options.server_pod) + ":" + kPort, "--to",
           "[" + Network::address6(options.server_pod) + "]:" + kPort});
  }
  const auto faults = await_flow(snapshot());
  if (!faults.empty()) throw std::runtime_error("the application does not work by itself: " + faults.front());
}

void Traffic::start(const std::string& member, std::size_t pod, std::vector<std::string> arguments) {
  std::filesystem::path file = program("lockstep-traffic");
  if (options_.own_names) {
    std::filesystem::create_directories(dir_ / "bin");
    std::filesystem::create_symlink(file, dir_ / "bin" / member);
    file = dir_ / "bin" / member;
  }
  arguments.insert(arguments.begin(), file);
  arguments.insert(arguments.end(), {"--status", dir_ / (member + ".json"), "--pidfile", dir_ / (member + ".pid")});
  if (options_.rate > 0) arguments.insert(arguments.end(), {"--rate", std::to_string(options_.rate)});
  members_.push_back(member);
  processes_.push_back(Process::start({.command = arguments,
                                       .log = dir_ / (member + ".log"),
                                       .netns = network_.pod(pod).path(),
                                       .dies_with_test = false}));
  if (wait_until([&] { return std::filesystem::exists(dir_ / (member + ".pid")); }, 10s)) return;
  throw std::runtime_error(member + " does not start: " + tail_of(dir_ / (member + ".log"), 5));
}

std::vector<GroupMember> Traffic::group() const {
  std::vector<GroupMember> group;
  for (const std::string& member : members_) group.push_back({.id = member});
  return group;
}

pid_t Traffic::pid_of(const std::string& member) const { return std::stoi(read_file(dir_ / (member + ".pid"))); }

std::vector<pid_t> Traffic::pids() const {
  std::vector<pid_t> pids;
  for (const std::string& member : members_) pids.push_back(pid_of(member));
  return pids;
}

std::size_t Traffic::connections() const {
  return options_.client_pods.size() * static_cast<std::size_t>(options_.connections) * 2;
}

traffic::Snapshot Traffic::snapshot() const {
  std::vector<std::string> clients;
  for (const std::string& member : members_) {
    if (member != "server") clients.push_back(dir_ / (member + ".json"));
  }
  auto snapshot = traffic::take_snapshot(dir_ / "server.json", clients);
  if (!snapshot) throw std::runtime_error(snapshot.error().message());
  return std::move(*snapshot);
}

std::vector<std::string> Traffic::await_flow(const traffic::Snapshot& before, std::chrono::milliseconds limit) const {
  // At full speed, the sockets' buffers are full of messages; with a rate, they are all but empty.
  const std::uint64_t messages = options_.rate == 0 ? 3000 : 300;
  std::vector<std::string> faults;
  (void)wait_until(
      [&] {
        const auto now = snapshot();
        faults = traffic::faults_of(now, connections());
        const auto stalled = traffic::stalled_since(before, now, messages);
        faults.insert(faults.end(), stalled.begin(), stalled.end());
        return faults.empty() || now.server.failed != 0;
      },
      limit);
  return faults;
}

std::vector<std::string> Traffic::finish() const {
  for (const std::string& member : members_) {
    if (member != "server") ::kill(pid_of(member), SIGTERM);
  }
  std::vector<std::string> faults;
  (void)wait_until(
      [&] {
        const auto now = snapshot();
        faults = traffic::faults_of(now, connections());
        const auto open = traffic::unfinished(now);
        faults.insert(faults.end(), open.begin(), open.end());
        return faults.empty();
      },
      10s);
  return faults;
}

bool Traffic::await_gone(const std::vector<pid_t>& pids) const {
  return wait_until([&] { return std::ranges::none_of(pids, exists); }, 10s);
}

}  // namespace lockstep::e2e
