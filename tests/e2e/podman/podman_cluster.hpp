/// A small installation of lockstep in Podman's pods: a broker in a pod of its own, and pods with an agent as sidecar
/// in each, from an image that is made of this machine's files. The containers of the application are the owner's.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/e2e/podman/podman.hpp"

namespace lockstep::e2e {

class PodmanCluster {
 public:
  /// `contents`: files and folders of this machine, for the image. `preload`: a shared object to be loaded into CRIU,
  /// whoever starts it; empty: none.
  PodmanCluster(std::size_t pods, const std::vector<std::string>& contents, const std::string& preload = {});
  /// After a failed test, prints the ends of all logs.
  ~PodmanCluster();
  PodmanCluster(const PodmanCluster&) = delete;
  PodmanCluster& operator=(const PodmanCluster&) = delete;

  [[nodiscard]] const Podman& podman() const { return podman_; }
  [[nodiscard]] const std::filesystem::path& dir() const { return dir_.path(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] static std::string pod(std::size_t index) { return "pod" + std::to_string(index); }
  [[nodiscard]] static std::string agent(std::size_t index) { return "agent" + std::to_string(index); }
  [[nodiscard]] static std::string address(std::size_t index) { return Podman::address(10 + index); }
  /// The path of the pod's network namespace.
  [[nodiscard]] std::string netns(std::size_t index) const;

  /// Stands for / where `lockstep setup` writes runc's configuration.
  [[nodiscard]] std::string machine_root() const { return dir() / "machine"; }
  [[nodiscard]] static std::string broker_address() { return "tcp://" + Podman::address(5) + ":7600"; }
  [[nodiscard]] std::string operator_key() const { return dir() / "keys/operator.key"; }
  /// The broker's file of standing groups, which names none.
  [[nodiscard]] std::string standing_groups() const { return dir() / "standing/groups.yaml"; }
  /// The first lines of a group's file: broker, key, driver.
  [[nodiscard]] std::string group_header(const std::string& group) const;

  /// Starts a container that can be a member; tell() knows it from then on. `options`: of podman run.
  void start_member(std::size_t pod, const std::string& name, const std::vector<std::string>& options,
                    const std::vector<std::string>& command);
  /// Runs the command line on the host.
  [[nodiscard]] CommandResult lockstep(const std::vector<std::string>& arguments,
                                       std::chrono::milliseconds limit = std::chrono::seconds(60)) const;

  /// lockstep setup.
  void set_up_hook() const;
  [[nodiscard]] bool runs(const std::string& container) const;
  [[nodiscard]] std::string pid_of(const std::string& container) const;
  /// True when the pod has a lock's elements.
  [[nodiscard]] bool locked(std::size_t pod) const;
  /// Ends agents and broker in order, and lists what of them is left: exit codes, tables, sockets.
  [[nodiscard]] std::vector<std::string> shut_down() const;
  /// Prints the ends of all logs.
  void tell() const;

 private:
  /// A folder with a program `criu`, for Podman and runc.
  [[nodiscard]] std::filesystem::path make_criu(const std::string& preload) const;
  void start_all(const std::vector<std::string>& contents) const;
  void make_image(std::vector<std::string> contents) const;
  void make_keys() const;
  void make_pod(const std::string& name, const std::string& address) const;
  void start(const std::string& pod, const std::string& name, const std::vector<std::string>& options,
             const std::vector<std::string>& command) const;
  void start_broker() const;
  void start_agent(std::size_t index) const;
  void wait_for_agents() const;

  TempDir dir_;
  Podman podman_;
  std::size_t size_;
  std::vector<std::string> members_;
};

}  // namespace lockstep::e2e
