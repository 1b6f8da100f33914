/// Pods made by the test, for members that are plain process trees: beside its network namespace, each has a mount
/// namespace with a /dev/shm and a /dev/pts of its own, as a container runtime would make them. CRIU runs in the same
/// mount namespace, so that the application finds the same files again in a pod that is new.
#pragma once

#include "tests/e2e/apps/pods.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::apps {

class TreePods : public Pods {
 public:
  /// With broker and node agent.
  explicit TreePods(std::size_t count);

  [[nodiscard]] const std::filesystem::path& dir() const override { return cluster_.dir(); }
  [[nodiscard]] std::string address(std::size_t pod) const override { return e2e::Network::address4(pod); }
  [[nodiscard]] std::string netns(std::size_t pod) const override { return cluster_.network().pod(pod).path(); }
  [[nodiscard]] bool locked(std::size_t pod) const override { return cluster_.locked(pod); }
  [[nodiscard]] std::filesystem::path log(const std::string& member) const override {
    return data(member) / (member + ".log");
  }
  [[nodiscard]] std::string start_failure(const std::string& member) const override;
  [[nodiscard]] std::string write_group() override { return write_group(false); }
  [[nodiscard]] std::string write_group_that_keeps() override { return write_group(true); }
  [[nodiscard]] e2e::CommandResult lockstep(const std::vector<std::string>& arguments,
                                            std::chrono::milliseconds limit) const override {
    return cluster_.lockstep(arguments, limit);
  }
  [[nodiscard]] std::uint64_t image_bytes(const std::string& member) const override {
    return image_bytes_in(cluster_.images_of(member));
  }
  /// New pods take the places and addresses of all.
  [[nodiscard]] std::string make_ready() override;
  void end_members(const std::vector<pid_t>& processes) override;
  /// Into new pods, too.
  [[nodiscard]] std::string go_back() override;
  [[nodiscard]] Faults shut_down() override { return cluster_.shut_down(); }

 protected:
  void start(const Launch& launch) override;

 private:
  /// The beginning of a command that is to run with the pod's mounts.
  [[nodiscard]] std::vector<std::string> with_mounts(std::size_t pod) const;
  [[nodiscard]] std::string write_group(bool keeps_files);
  [[nodiscard]] e2e::Process make_holder(std::size_t pod);
  /// The pod's /dev/shm, as seen from here. What is in it is files, which CRIU does not save.
  [[nodiscard]] std::filesystem::path shared_memory(std::size_t pod) const;
  [[nodiscard]] std::filesystem::path kept_shared_memory(std::size_t pod) const {
    return kept() / "shm" / std::to_string(pod);
  }
  enum class SharedMemory { of_the_old_pods, that_was_kept };
  void renew(SharedMemory source);

  e2e::Cluster cluster_;
  std::vector<e2e::Process> holders_;  ///< keep the mount namespaces, as a pod's pause container does
  std::vector<e2e::Process> processes_;
  int made_ = 0;
};

}  // namespace lockstep::apps
