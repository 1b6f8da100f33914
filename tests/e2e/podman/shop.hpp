/// A distributed application in Podman's pods: lockstep-traffic's server and clients.
#pragma once

#include <string>
#include <vector>

#include "tests/app/check.hpp"
#include "tests/e2e/podman/podman_cluster.hpp"

namespace lockstep::e2e {

struct ShopMember {
  std::string name;  ///< of the member and of its container: "server", "client0", …
  std::size_t pod = 0;
  std::string images = {};  ///< archive or folder to export to; empty: Podman's own folder
};

class Shop {
 public:
  /// Starts it, and waits until it flows. The first member is the server; pods are counted from 0 without gaps.
  explicit Shop(std::vector<ShopMember> members);

  [[nodiscard]] const PodmanCluster& cluster() const { return cluster_; }
  [[nodiscard]] const Podman& podman() const { return cluster_.podman(); }
  [[nodiscard]] const std::vector<ShopMember>& members() const { return members_; }
  [[nodiscard]] const std::filesystem::path& dir() const { return cluster_.dir(); }

  /// Writes group.yaml and returns its path.
  std::string write_group(const std::string& extra = {}) const;
  /// Runs the command line on the host.
  [[nodiscard]] CommandResult lockstep(const std::vector<std::string>& arguments) const {
    return cluster_.lockstep(arguments);
  }

  /// Throws when a status file can't be read.
  [[nodiscard]] traffic::Snapshot snapshot() const;
  /// As Traffic::await_flow().
  [[nodiscard]] std::vector<std::string> await_flow(const traffic::Snapshot& before) const;
  /// Has all clients say goodbye, and compares what was sent and received to the last message.
  [[nodiscard]] std::vector<std::string> finish() const;
  [[nodiscard]] std::size_t connections() const;

 private:
  void start_member(const ShopMember& member);

  std::vector<ShopMember> members_;
  PodmanCluster cluster_;
};

}  // namespace lockstep::e2e
