/// A distributed application in Podman's pods: lockstep-traffic's server and clients, a sidecar agent in each pod, and
/// the broker in a pod of its own.
#pragma once

#include <string>
#include <vector>

#include "tests/app/check.hpp"
#include "tests/e2e/podman/podman.hpp"

namespace lockstep::e2e {

struct ShopMember {
  std::string name;  ///< of the member and of its container: "server", "client0", …
  std::size_t pod = 0;
  std::string archive = {};  ///< file name to export to; empty: Podman's own folder
};

class Shop {
 public:
  /// Starts it, and waits until it flows. The first member is the server.
  explicit Shop(std::vector<ShopMember> members);
  ~Shop();
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;

  [[nodiscard]] const Podman& podman() const { return podman_; }
  [[nodiscard]] const std::vector<ShopMember>& members() const { return members_; }
  [[nodiscard]] std::filesystem::path dir() const { return dir_.path(); }
  [[nodiscard]] static std::string pod(std::size_t index) { return "pod" + std::to_string(index); }
  [[nodiscard]] static std::string agent(std::size_t index) { return "agent" + std::to_string(index); }

  /// Stands for / where `lockstep setup` writes runc's configuration.
  [[nodiscard]] std::string machine_root() const { return dir() / "machine"; }
  [[nodiscard]] static std::string broker_address() { return "tcp://" + Podman::address(5) + ":7600"; }

  [[nodiscard]] std::string operator_key() const { return dir() / "keys/operator.key"; }

  /// Writes group.yaml and returns its path.
  std::string write_group(const std::string& extra = {}) const;
  /// Runs the command line on the host.
  [[nodiscard]] CommandResult lockstep(const std::vector<std::string>& arguments) const;

  /// Throws when a status file can't be read.
  [[nodiscard]] traffic::Snapshot snapshot() const;
  /// As Traffic::await_flow().
  [[nodiscard]] std::vector<std::string> await_flow(const traffic::Snapshot& before) const;
  /// Has all clients say goodbye, and compares what was sent and received to the last message.
  [[nodiscard]] std::vector<std::string> finish() const;
  [[nodiscard]] std::size_t connections() const;

  [[nodiscard]] bool runs(const std::string& container) const;
  [[nodiscard]] std::string pid_of(const std::string& container) const;
  /// True when the pod has a lock's elements.
  [[nodiscard]] bool locked(std::size_t pod) const;

 private:
  void start_all() const;
  /// Prints the ends of all logs, after a failure.
  void tell() const;
  void make_image() const;
  void make_keys() const;
  void make_pod(const std::string& name, const std::string& address) const;
  void start(const std::string& pod, const std::string& name, const std::vector<std::string>& options,
             const std::vector<std::string>& command) const;
  void start_broker() const;
  void start_agent(std::size_t index) const;
  void start_member(const ShopMember& member) const;
  void wait_for_agents() const;
  [[nodiscard]] std::vector<std::size_t> pods() const;
  [[nodiscard]] static std::string pod_address(std::size_t index) { return Podman::address(10 + index); }

  TempDir dir_;
  Podman podman_{dir_.path()};
  std::vector<ShopMember> members_;
};

}  // namespace lockstep::e2e
