#include "tests/e2e/harness/cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace lockstep::e2e {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error(std::string(name) + " is not set: start these tests with tests/run.sh");
  return value;
}

void print_logs(const std::filesystem::path& dir) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (entry.path().extension() != ".log") continue;
    std::cout << "---- " << entry.path().lexically_relative(dir).string() << '\n' << tail_of(entry.path(), 25);
  }
}

}  // namespace

std::string program(const std::string& name) { return environment("LOCKSTEP_BIN") + "/" + name; }
std::string criu_path() { return environment("LOCKSTEP_CRIU"); }

Cluster::Cluster(std::size_t pods, Agents agents, std::string broker_settings)
    : kind_(agents), broker_settings_(std::move(broker_settings)), network_(pods) {
  std::filesystem::create_directories(dir() / "run");
  make_keys();
  start_broker();
  for (std::size_t index = 0; index < (kind_ == Agents::node ? 1 : pods); ++index) start_agent(index);
  wait_for_agents();
}

Cluster::~Cluster() {
  if (::testing::Test::HasFailure()) print_logs(dir());
  for (auto& [index, agent] : agents_) agent.stop();
  if (broker_) broker_->stop();
}

void Cluster::make_keys() const {
  must_run({program("lockstep"), "keys", "init", "--keys", keys()});
  add_key("agent", {"--role", "agent", "--node", "e2e"});
}

std::string Cluster::add_key(const std::string& name, const std::vector<std::string>& options) const {
  std::vector<std::string> command{program("lockstep"), "keys", "add", name, "--keys", keys()};
  command.insert(command.end(), options.begin(), options.end());
  must_run(command);
  return keys() / (name + ".key");
}

void Cluster::start_broker() {
  write_file(dir() / "broker.yaml",
             "listen: [" + broker_on_network() + ", " + broker_for_cli() + "]\n" + "keys: " + keys().string() + "\n" +
                 "journal: " + (dir() / "journal/journal.db").string() + "\n" + broker_settings_);
  broker_ = Process::start({.command = {program("lockstep-broker"), "--config", dir() / "broker.yaml"},
                            .log = dir() / "broker.log",
                            .netns = network_.hub().path()});
  const bool ready =
      wait_until([this] { return read_file(dir() / "broker.log").find("ready") != std::string::npos; }, 10s);
  if (!ready) throw std::runtime_error("the broker does not get ready: " + tail_of(dir() / "broker.log", 5));
}

std::string Cluster::agent_name(std::size_t index) const {
  return "agent-" + std::to_string(index) + "-" + std::to_string(incarnation_.at(index));
}

void Cluster::start_agent(std::size_t index) {
  ++incarnation_[index];
  const std::string name = agent_name(index);
  const bool node = kind_ == Agents::node;
  const std::string broker = node ? broker_for_cli() : broker_on_network();
  write_file(dir() / (name + ".yaml"),
             "broker: " + broker + "\nkey: " + (keys() / "agent.key").string() + "\nname: " + name + "\nsocket_dir: " + (dir() / "run").string() + "\n");
  std::vector<std::string> command{program("lockstep-agent"), "--config", dir() / (name + ".yaml")};
  if (node) {
    command.emplace_back("--node");
  } else {
    command.insert(command.end(), {"--pod", "self"});
  }
  agents_.erase(index);
  agents_.emplace(index, Process::start({.command = command,
                                         .log = dir() / (name + ".log"),
                                         .netns = node ? network_.hub().path() : network_.pod(index).path()}));
}

void Cluster::wait_for_agents() {
  std::string status;
  const bool all = wait_until(
      [&] {
        status = lockstep({"status", "--broker", broker_for_cli(), "--output", "json"}).out;
        for (const auto& [index, agent] : agents_) {
          if (agent.running() && status.find('"' + agent_name(index) + '"') == std::string::npos) return false;
        }
        return true;
      },
      15s);
  if (!all) throw std::runtime_error("not every agent gets known to the broker: " + status);
}

std::string Cluster::write_group(const std::vector<GroupMember>& members, const std::string& extra) const {
  std::string text = "group: e2e\nbroker: " + broker_for_cli() + "\nsocket_dir: " + (dir() / "run").string() +
                     "\ncriu: " + criu_path() + "\n" + extra + "members:\n";
  for (const GroupMember& member : members) {
    text += "  - id: " + member.id + "\n    pidfile: " + member.id + ".pid\n    images: images/" + member.id + "\n";
    if (!member.pod.empty()) text += "    pod: " + member.pod + "\n";
    std::istringstream settings(member.settings);
    for (std::string line; std::getline(settings, line);) text += "    " + line + "\n";
    if (member.criu_options.empty()) continue;
    text += "    criu_options:\n";
    for (const std::string& option : member.criu_options) text += "      - \"" + option + "\"\n";
  }
  const std::filesystem::path path = dir() / "group.yaml";
  write_file(path, text);
  return path;
}

CommandResult Cluster::lockstep(const std::vector<std::string>& arguments, std::chrono::milliseconds limit) const {
  std::vector<std::string> command{program("lockstep")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, limit);
}

bool Cluster::locked(std::size_t pod) const {
  const std::string rules = run_command({"nft", "list", "ruleset"}, 10s, network_.pod(pod).path()).out;
  // The prepared table of lockstep stands always; it is the elements of its set that lock.
  return rules.find("elements") != std::string::npos || rules.find("DROP") != std::string::npos;
}

std::vector<std::string> Cluster::shut_down() {
  std::vector<std::string> left;
  for (auto& [index, agent] : agents_) {
    if (!agent.running()) continue;
    const auto code = agent.stop();
    if (code != 0) left.push_back(agent_name(index) + " ended with " + (code ? std::to_string(*code) : "SIGKILL only"));
  }
  if (broker_ && broker_->running()) {
    const auto code = broker_->stop();
    if (code != 0) left.push_back("the broker ended with " + (code ? std::to_string(*code) : "SIGKILL only"));
  }
  for (std::size_t index = 0; index < network_.size(); ++index) {
    const std::string rules = run_command({"nft", "list", "ruleset"}, 10s, network_.pod(index).path()).out;
    if (!rules.empty()) left.push_back("pod " + std::to_string(index) + " has rules:\n" + rules);
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir() / "run")) {
    left.push_back("file " + entry.path().string());
  }
  return left;
}

}  // namespace lockstep::e2e
