/// Podman's pods, for members that are containers: each in a pod of its own, with an agent as sidecar. A member's data
/// is a folder of this machine, mounted at the same place in the container; its output goes where Podman writes its
/// log.
#pragma once

#include <map>

#include "tests/e2e/apps/pods.hpp"
#include "tests/e2e/podman/podman_cluster.hpp"

namespace lockstep::apps {

class ContainerPods : public Pods {
 public:
  /// `contents`: files and folders of this machine that the containers' image is made of.
  ContainerPods(std::size_t count, const std::vector<std::string>& contents);

  [[nodiscard]] const std::filesystem::path& dir() const override { return cluster_.dir(); }
  [[nodiscard]] std::string address(std::size_t pod) const override { return e2e::PodmanCluster::address(pod); }
  [[nodiscard]] std::string netns(std::size_t pod) const override { return cluster_.netns(pod); }
  [[nodiscard]] bool locked(std::size_t pod) const override { return cluster_.locked(pod); }
  [[nodiscard]] std::filesystem::path log(const std::string& member) const override {
    return folders_.at(member) / "ctr.log";
  }
  [[nodiscard]] std::string start_failure(const std::string& member) const override;
  /// The images stay with Podman.
  [[nodiscard]] std::string write_group() override { return write_group(false); }
  /// The images go to archives.
  [[nodiscard]] std::string write_group_that_keeps() override { return write_group(true); }
  [[nodiscard]] e2e::CommandResult lockstep(const std::vector<std::string>& arguments,
                                            std::chrono::milliseconds limit) const override {
    return cluster_.lockstep(arguments, limit);
  }
  [[nodiscard]] std::uint64_t image_bytes(const std::string& member) const override;
  /// Nothing: containers come back in place.
  [[nodiscard]] std::string make_ready() override { return write_group(); }
  /// And removes them.
  void end_members(const std::vector<pid_t>& processes) override;
  /// From the archives.
  [[nodiscard]] std::string go_back() override;
  [[nodiscard]] Faults shut_down() override { return cluster_.shut_down(); }

 protected:
  void start(const Launch& launch) override;

 private:
  [[nodiscard]] std::string write_group(bool keeps_files);

  e2e::PodmanCluster cluster_;
  std::map<std::string, std::filesystem::path> folders_;  ///< Podman's, of each container
};

}  // namespace lockstep::apps
