/// A small installation of lockstep: pods, a broker in the hub, agents, all in a folder of its own.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/network.hpp"
#include "tests/e2e/harness/process.hpp"

namespace lockstep::e2e {

/// One agent inside each pod, or a single one for all of them on the node, whose namespace is the hub.
enum class Agents { sidecars, node };

/// One line of a group file's members.
struct GroupMember {
  std::string id;
  std::string pod = {};  ///< path of a namespace to restore into; empty: not written
  std::vector<std::string> criu_options = {};
  std::string settings = {};  ///< further keys of a member, separated by newlines
};

/// The program's path in LOCKSTEP_BIN; throws where the environment (tests/run.sh) is not set.
[[nodiscard]] std::string program(const std::string& name);
[[nodiscard]] std::string criu_path();

class Cluster {
 public:
  /// `broker_settings`: further lines of broker.yaml.
  Cluster(std::size_t pods, Agents agents, std::string broker_settings = {});
  /// Stops everything that still runs; after a failed test, prints the ends of all logs first.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const Network& network() const { return network_; }
  [[nodiscard]] const std::filesystem::path& dir() const { return dir_.path(); }
  /// The broker's folder of keys. Its agents have the key `agent`, of the node `e2e`.
  [[nodiscard]] std::filesystem::path keys() const { return dir() / "keys"; }
  /// Makes a key (`lockstep keys add`), and returns its file.
  std::string add_key(const std::string& name, const std::vector<std::string>& options) const;
  /// On the network, where only keys get in; to be used from inside the hub or a pod.
  [[nodiscard]] static std::string broker_on_network() { return "tcp://" + Network::hub_address() + ":7600"; }
  [[nodiscard]] std::string broker_for_cli() const { return "ipc://" + (dir() / "run/broker").string(); }

  void start_broker();
  /// `index`: the pod's; with a node agent there is only 0. Started again, an agent has a new name.
  void start_agent(std::size_t index);
  [[nodiscard]] Process& broker() { return *broker_; }
  [[nodiscard]] Process& agent(std::size_t index) { return agents_.at(index); }
  /// Until the broker knows every agent that was started and lives.
  void wait_for_agents();

  /// Writes group.yaml: a member's pidfile is `<id>.pid`, its images are in `images/<id>`. `extra` is added as it is.
  std::string write_group(const std::vector<GroupMember>& members, const std::string& extra = {}) const;
  [[nodiscard]] std::filesystem::path images_of(const std::string& member) const { return dir() / "images" / member; }
  [[nodiscard]] std::filesystem::path record_of(const std::string& member) const {
    return images_of(member) / "lockstep.record";
  }
  /// Runs the command line.
  [[nodiscard]] CommandResult lockstep(const std::vector<std::string>& arguments,
                                       std::chrono::milliseconds limit = 60s) const;

  /// True when the pod has an nft table or an iptables rule that drops.
  [[nodiscard]] bool locked(std::size_t pod) const;
  /// Ends agents and broker in order, and lists what of them is left: exit codes, tables, sockets.
  [[nodiscard]] std::vector<std::string> shut_down();

 private:
  [[nodiscard]] std::string agent_name(std::size_t index) const;
  void make_keys() const;

  TempDir dir_;
  Agents kind_;
  std::string broker_settings_;
  Network network_;
  std::optional<Process> broker_;
  std::map<std::size_t, Process> agents_;
  std::map<std::size_t, int> incarnation_;
};

}  // namespace lockstep::e2e
