#include "tests/e2e/podman/podman_cluster.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <stdexcept>

#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/podman/root_folder.hpp"

namespace lockstep::e2e {
namespace {

std::string sleep_program() {
  for (const char* path : {"/usr/bin/sleep", "/bin/sleep"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("there is no sleep program");
}

void make_script(const std::filesystem::path& path, const std::string& text) {
  write_file(path, "#!/bin/sh\n" + text);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

std::string rules_in(const std::string& netns) { return run_command({"nft", "list", "ruleset"}, 10s, netns).out; }

}  // namespace

PodmanCluster::PodmanCluster(std::size_t pods, const std::vector<std::string>& contents, const std::string& preload)
    : podman_(dir_.path(), make_criu(preload)), size_(pods) {
  try {
    start_all(contents);
  } catch (const std::exception&) {
    tell();
    throw;
  }
}

PodmanCluster::~PodmanCluster() {
  if (::testing::Test::HasFailure()) tell();
}

std::filesystem::path PodmanCluster::make_criu(const std::string& preload) const {
  // Podman and runc let nothing of a test's environment through to CRIU and its hooks; /etc/lockstep/hook.conf is the
  // machine's. A script in the hook's place would cost more time than the hook, and a member is frozen meanwhile.
  std::string script = "export LOCKSTEP_SOCKET_DIR=" + (dir() / "run").string() + "\n";
  if (!preload.empty()) script += "export LD_PRELOAD=" + preload + "\n";
  make_script(dir() / "criu/criu", script + "exec " + criu_path() + " \"$@\"\n");
  return dir() / "criu";
}

void PodmanCluster::start_all(const std::vector<std::string>& contents) const {
  std::filesystem::create_directories(dir() / "run");
  make_image(contents);
  make_keys();
  make_pod("broker-pod", Podman::address(5));
  start_broker();
  for (std::size_t index = 0; index < size_; ++index) {
    make_pod(pod(index), address(index));
    start_agent(index);
  }
  set_up_hook();
  wait_for_agents();
}

void PodmanCluster::make_image(std::vector<std::string> contents) const {
  contents.insert(contents.end(), {program("lockstep-agent"), program("lockstep-broker"), sleep_program()});
  make_root_folder(dir() / "root", contents);
  const std::string archive = dir() / "root.tar";
  must_run({"tar", "-cf", archive, "-C", dir() / "root", "."});
  podman_.run({"import", archive, Podman::kImage});
}

void PodmanCluster::make_keys() const {
  const std::string keys = dir() / "keys";
  must_run({program("lockstep"), "keys", "init", "--keys", keys});
  must_run({program("lockstep"), "keys", "add", "agent", "--role", "agent", "--node", "e2e", "--keys", keys});
  must_run({program("lockstep"), "keys", "add", "operator", "--role", "operator", "--keys", keys});
}

void PodmanCluster::make_pod(const std::string& name, const std::string& address) const {
  podman_.run({"pod", "create", "--name", name, "--network", podman_.network(), "--ip", address, "--infra-image",
               Podman::kImage, "--infra-name", name + "-infra", "--infra-command", sleep_program() + " 1000000"});
}

void PodmanCluster::start(const std::string& pod, const std::string& name, const std::vector<std::string>& options,
                          const std::vector<std::string>& command) const {
  std::vector<std::string> words{"run", "--detach", "--pod", pod, "--name", name};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back(Podman::kImage);
  words.insert(words.end(), command.begin(), command.end());
  podman_.run(std::move(words));
}

void PodmanCluster::start_broker() const {
  write_file(dir() / "broker.yaml",
             "listen: [" + broker_address() + "]\nkeys: /shop/keys\njournal: /shop/journal/journal.db\n" +
                 "groups: /shop/standing/groups.yaml\n");
  write_file(standing_groups(), "groups: []\n");
  start("broker-pod", "broker", {"--volume", dir().string() + ":/shop"},
        {program("lockstep-broker"), "--config", "/shop/broker.yaml"});
}

void PodmanCluster::start_agent(std::size_t index) const {
  const std::string config = agent(index) + ".yaml";
  write_file(dir() / config, "broker: " + broker_address() + "\nkey: /shop/keys/agent.key\nname: " + agent(index) +
                                 "\npod: self\nsocket_dir: /run/lockstep\n");
  start(pod(index), agent(index),
        {"--cap-add", "NET_ADMIN", "--volume", (dir() / "run").string() + ":/run/lockstep", "--volume",
         dir().string() + ":/shop:ro"},
        {program("lockstep-agent"), "--config", "/shop/" + config});
}

void PodmanCluster::set_up_hook() const {
  // runc would read the file below /, which is the machine's; the containers name ours instead.
  const CommandResult setup =
      lockstep({"setup", "--runtime", "runc", "--root", machine_root(), "--hook", program("lockstep-hook")});
  if (setup.exit_code != 0) throw std::runtime_error("lockstep setup: " + setup.err);
}

void PodmanCluster::wait_for_agents() const {
  std::string status;
  const bool all = wait_until(
      [&] {
        status = lockstep({"status", "--broker", broker_address(), "--key", operator_key(), "--output", "json"}).out;
        for (std::size_t index = 0; index < size_; ++index) {
          if (status.find('"' + agent(index) + '"') == std::string::npos) return false;
        }
        return true;
      },
      15s);
  if (!all) throw std::runtime_error("not every agent gets known to the broker: " + status);
}

void PodmanCluster::start_member(std::size_t index, const std::string& name, const std::vector<std::string>& options,
                                 const std::vector<std::string>& command) {
  members_.push_back(name);
  std::vector<std::string> all{"--annotation", "org.criu.config=" + machine_root() + "/etc/criu/runc.conf"};
  all.insert(all.end(), options.begin(), options.end());
  start(pod(index), name, all, command);
}

std::string PodmanCluster::group_header(const std::string& group) const {
  return "group: " + group + "\nbroker: " + broker_address() + "\nkey: " + operator_key() + "\ndriver: podman\n";
}

CommandResult PodmanCluster::lockstep(const std::vector<std::string>& arguments,
                                      std::chrono::milliseconds limit) const {
  std::vector<std::string> command{program("lockstep")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, limit, podman_.host_netns());
}

bool PodmanCluster::runs(const std::string& container) const {
  return podman_.field(container, "{{.State.Running}}") == "true";
}

std::string PodmanCluster::pid_of(const std::string& container) const {
  return podman_.field(container, "{{.State.Pid}}");
}

std::string PodmanCluster::netns(std::size_t index) const {
  return "/proc/" + pid_of(pod(index) + "-infra") + "/ns/net";
}

bool PodmanCluster::locked(std::size_t index) const {
  // The prepared table of lockstep stands always; it is the elements of its set that lock.
  return rules_in(netns(index)).find("elements") != std::string::npos;
}

std::vector<std::string> PodmanCluster::shut_down() const {
  std::vector<std::string> left;
  const auto stop = [&](const std::string& name) {
    podman_.run({"stop", "--time", "5", name});
    const std::string code = podman_.field(name, "{{.State.ExitCode}}");
    if (code != "0") left.push_back(name + " ended with " + code);
  };
  for (std::size_t index = 0; index < size_; ++index) stop(agent(index));
  stop("broker");
  for (std::size_t index = 0; index < size_; ++index) {
    const std::string rules = rules_in(netns(index));
    if (!rules.empty()) left.push_back(pod(index) + " has rules:\n" + rules);
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir() / "run")) {
    left.push_back("file " + entry.path().string());
  }
  return left;
}

void PodmanCluster::tell() const {
  std::cout << podman_.try_run({"ps", "--all", "--pod"}).out;
  const auto print_log = [this](const std::string& name) {
    const CommandResult logs = podman_.try_run({"logs", "--tail", "25", name});
    std::cout << "---- " << name << '\n' << logs.out << logs.err;
  };
  print_log("broker");
  for (std::size_t index = 0; index < size_; ++index) print_log(agent(index));
  for (const std::string& member : members_) {
    print_log(member);
    const CommandResult folder = podman_.try_run({"container", "inspect", member, "--format", "{{.StaticDir}}"});
    if (folder.exit_code != 0) continue;
    const std::string path = folder.out.substr(0, folder.out.find('\n'));
    for (const char* log : {"/dump.log", "/restore.log"}) {
      std::cout << "---- " << member << log << '\n' << tail_of(path + log, 15);
    }
  }
}

}  // namespace lockstep::e2e
