#include "tests/e2e/podman/shop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <stdexcept>

#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/podman/root_folder.hpp"

namespace lockstep::e2e {
namespace {

/// So slow that the processors are not what the test is about.
constexpr auto kRate = "2000";

std::string sleep_program() {
  for (const char* path : {"/usr/bin/sleep", "/bin/sleep"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("there is no sleep program");
}

}  // namespace

Shop::Shop(std::vector<ShopMember> members) : members_(std::move(members)) {
  try {
    start_all();
  } catch (const std::exception&) {
    tell();
    throw;
  }
}

void Shop::start_all() const {
  for (const char* folder : {"run", "state"}) std::filesystem::create_directories(dir() / folder);
  make_image();
  make_keys();
  make_pod("broker-pod", Podman::address(5));
  start_broker();
  for (const std::size_t index : pods()) {
    make_pod(pod(index), pod_address(index));
    start_agent(index);
  }
  wait_for_agents();
  // The hook's environment is Podman's, which lets nothing of ours through; /etc/lockstep/hook.conf is the machine's.
  const std::filesystem::path hook = dir() / "bin/lockstep-hook";
  write_file(hook, "#!/bin/sh\nexport LOCKSTEP_SOCKET_DIR=" + (dir() / "run").string() + "\nexec " +
                       program("lockstep-hook") + "\n");
  std::filesystem::permissions(hook, std::filesystem::perms::owner_all);
  // runc would read the file below /, which is the machine's; the containers name ours instead.
  const CommandResult setup = lockstep({"setup", "--runtime", "runc", "--root", machine_root(), "--hook", hook});
  if (setup.exit_code != 0) throw std::runtime_error("lockstep setup: " + setup.err);
  for (const ShopMember& member : members_) start_member(member);
  const auto faults = await_flow(snapshot());
  if (!faults.empty()) throw std::runtime_error("the application does not work by itself: " + faults.front());
}

Shop::~Shop() {
  if (::testing::Test::HasFailure()) tell();
}

void Shop::tell() const {
  std::cout << podman_.try_run({"ps", "--all", "--pod"}).out;
  for (const char* line : {"broker", "agent0", "agent1"}) {
    const CommandResult logs = podman_.try_run({"logs", "--tail", "25", line});
    std::cout << "---- " << line << '\n' << logs.out << logs.err;
  }
  for (const ShopMember& member : members_) {
    const CommandResult folder = podman_.try_run({"container", "inspect", member.name, "--format", "{{.StaticDir}}"});
    if (folder.exit_code != 0) continue;
    const std::string path = folder.out.substr(0, folder.out.find('\n'));
    for (const char* log : {"/dump.log", "/restore.log"}) {
      std::cout << "---- " << member.name << log << '\n' << tail_of(path + log, 15);
    }
  }
}

void Shop::make_image() const {
  make_root_folder(dir() / "root", {program("lockstep-traffic"), program("lockstep-agent"), program("lockstep-broker"),
                                    sleep_program()});
  const std::string archive = dir() / "root.tar";
  must_run({"tar", "-cf", archive, "-C", dir() / "root", "."});
  podman_.run({"import", archive, Podman::kImage});
}

void Shop::make_pod(const std::string& name, const std::string& address) const {
  podman_.run({"pod", "create", "--name", name, "--network", Podman::kNetwork, "--ip", address, "--infra-image",
               Podman::kImage, "--infra-command", "/usr/bin/sleep 1000000"});
}

void Shop::start(const std::string& pod, const std::string& name, const std::vector<std::string>& options,
                 const std::vector<std::string>& command) const {
  std::vector<std::string> words{"run", "--detach", "--pod", pod, "--name", name};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back(Podman::kImage);
  words.insert(words.end(), command.begin(), command.end());
  podman_.run(std::move(words));
}

void Shop::make_keys() const {
  const std::string keys = dir() / "keys";
  must_run({program("lockstep"), "keys", "init", "--keys", keys});
  must_run({program("lockstep"), "keys", "add", "agent", "--role", "agent", "--node", "shop", "--keys", keys});
  must_run({program("lockstep"), "keys", "add", "operator", "--role", "operator", "--keys", keys});
}

void Shop::start_broker() const {
  write_file(dir() / "broker.yaml",
             "listen: [" + broker_address() + "]\nkeys: /shop/keys\njournal: /shop/journal/journal.db\n");
  start("broker-pod", "broker", {"--volume", dir().string() + ":/shop"},
        {"/usr/bin/lockstep-broker", "--config", "/shop/broker.yaml"});
}

void Shop::start_agent(std::size_t index) const {
  const std::string config = agent(index) + ".yaml";
  write_file(dir() / config, "broker: " + broker_address() + "\nkey: /shop/keys/agent.key\nname: " + agent(index) +
                                 "\npod: self\nsocket_dir: /run/lockstep\n");
  start(pod(index), agent(index),
        {"--cap-add", "NET_ADMIN", "--volume", (dir() / "run").string() + ":/run/lockstep", "--volume",
         dir().string() + ":/shop:ro"},
        {"/usr/bin/lockstep-agent", "--config", "/shop/" + config});
}

void Shop::start_member(const ShopMember& member) const {
  std::vector<std::string> command{"/usr/bin/lockstep-traffic"};
  if (&member == &members_.front()) {
    command.insert(command.end(), {"serve", "--port", "9000"});
  } else {
    command.insert(command.end(),
                   {"connect", "--connections", "2", "--to", pod_address(members_.front().pod) + ":9000"});
  }
  command.insert(command.end(), {"--rate", kRate, "--status", "/shop/" + member.name + ".json", "--pidfile",
                                 "/shop/" + member.name + ".pid"});
  start(pod(member.pod), member.name,
        {"--annotation", "org.criu.config=" + machine_root() + "/etc/criu/runc.conf", "--volume",
         (dir() / "state").string() + ":/shop"},
        command);
  const bool started =
      wait_until([&] { return std::filesystem::exists(dir() / "state" / (member.name + ".json")); }, 10s);
  if (!started)
    throw std::runtime_error(member.name + " does not start: " + podman_.try_run({"logs", member.name}).err);
}

void Shop::wait_for_agents() const {
  std::string status;
  const bool all = wait_until(
      [&] {
        status = lockstep({"status", "--broker", broker_address(), "--key", operator_key(), "--output", "json"}).out;
        return std::ranges::all_of(
            pods(), [&](std::size_t index) { return status.find('"' + agent(index) + '"') != std::string::npos; });
      },
      15s);
  if (!all) throw std::runtime_error("not every agent gets known to the broker: " + status);
}

std::vector<std::size_t> Shop::pods() const {
  std::set<std::size_t> all;
  for (const ShopMember& member : members_) all.insert(member.pod);
  return {all.begin(), all.end()};
}

std::string Shop::write_group(const std::string& extra) const {
  std::string text = "group: shop\nbroker: " + broker_address() + "\nkey: " + operator_key() + "\ndriver: podman\n" +
                     extra + "members:\n";
  for (const ShopMember& member : members_) {
    text += "  - {id: " + member.name + ", container: " + member.name;
    if (!member.archive.empty()) text += ", images: " + member.archive;
    text += "}\n";
  }
  write_file(dir() / "group.yaml", text);
  return dir() / "group.yaml";
}

CommandResult Shop::lockstep(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{program("lockstep")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, 60s, podman_.host_netns());
}

traffic::Snapshot Shop::snapshot() const {
  std::vector<std::string> clients;
  for (std::size_t i = 1; i < members_.size(); ++i) clients.push_back(dir() / "state" / (members_[i].name + ".json"));
  auto snapshot = traffic::take_snapshot(dir() / "state" / (members_.front().name + ".json"), clients);
  if (!snapshot) throw std::runtime_error(snapshot.error().message());
  return std::move(*snapshot);
}

std::size_t Shop::connections() const { return 2 * (members_.size() - 1); }

std::vector<std::string> Shop::await_flow(const traffic::Snapshot& before) const {
  std::vector<std::string> faults;
  (void)wait_until(
      [&] {
        const auto now = snapshot();
        faults = traffic::faults_of(now, connections());
        const auto stalled = traffic::stalled_since(before, now, 300);
        faults.insert(faults.end(), stalled.begin(), stalled.end());
        return faults.empty() || now.server.failed != 0;
      },
      10s);
  return faults;
}

std::vector<std::string> Shop::finish() const {
  for (std::size_t i = 1; i < members_.size(); ++i) podman_.run({"kill", "--signal", "TERM", members_[i].name});
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

bool Shop::runs(const std::string& container) const { return podman_.field(container, "{{.State.Running}}") == "true"; }

std::string Shop::pid_of(const std::string& container) const { return podman_.field(container, "{{.State.Pid}}"); }

bool Shop::locked(std::size_t index) const {
  const std::string pid = pid_of(agent(index));
  // The prepared table of lockstep stands always; it is the elements of its set that lock.
  return run_command({"nsenter", "--net=/proc/" + pid + "/ns/net", "nft", "list", "ruleset"}).out.find("elements") !=
         std::string::npos;
}

}  // namespace lockstep::e2e
