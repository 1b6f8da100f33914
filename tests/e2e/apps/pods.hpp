/// Pods for real applications: beside its network namespace, each has a mount namespace with a /dev/shm and a /dev/pts
/// of its own, as a container runtime would make them. CRIU runs in the same mount namespace, so that the application
/// finds the same files again in a pod that is new.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::apps {

class Pods {
 public:
  /// With broker and node agent.
  explicit Pods(std::size_t count);

  [[nodiscard]] e2e::Cluster& cluster() { return cluster_; }
  [[nodiscard]] std::size_t count() const { return holders_.size(); }
  [[nodiscard]] static std::string address(std::size_t pod) { return e2e::Network::address4(pod); }
  [[nodiscard]] std::string netns(std::size_t pod) { return cluster_.network().pod(pod).path(); }
  /// The beginning of a command that is to run with the pod's mounts.
  [[nodiscard]] std::vector<std::string> with_mounts(std::size_t pod) const;

  /// Copies the pod's /dev/shm into a new folder: what is in it is files, which CRIU does not save.
  [[nodiscard]] std::vector<std::string> command_to_keep_shared_memory(std::size_t pod,
                                                                       const std::filesystem::path& folder) const;
  /// New pods take the places and addresses of all. Their /dev/shm get what is in the folders `from`/POD, or, where
  /// that is empty, what the old ones have.
  void renew(const std::filesystem::path& from = {});
  /// Runs a command in the pod, to its end.
  [[nodiscard]] e2e::CommandResult run(std::size_t pod, const std::vector<std::string>& command,
                                       std::chrono::milliseconds limit = std::chrono::seconds(60));

 private:
  [[nodiscard]] e2e::Process make_holder(std::size_t pod);
  /// The pod's /dev/shm, as seen from here.
  [[nodiscard]] std::filesystem::path shared_memory(std::size_t pod) const;

  e2e::Cluster cluster_;
  std::vector<e2e::Process> holders_;  ///< keep the mount namespaces, as a pod's pause container does
  int made_ = 0;
};

}  // namespace lockstep::apps
