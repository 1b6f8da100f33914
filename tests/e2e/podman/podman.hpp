/// Podman with a store, a configuration and a network of its own, all in one folder and one network namespace: nothing
/// of the machine's own Podman is read or changed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/network.hpp"
#include "tests/e2e/harness/process.hpp"

namespace lockstep::e2e {

class Podman {
 public:
  /// Sets CONTAINERS_CONF, CONTAINERS_STORAGE_CONF and PATH of this process, so that every Podman below it is this one,
  /// whoever starts it. `criu_folder`: where the program criu is that runc is to find.
  Podman(const std::filesystem::path& dir, const std::filesystem::path& criu_folder);
  /// Removes all containers, pods and mounts.
  ~Podman();
  Podman(const Podman&) = delete;
  Podman& operator=(const Podman&) = delete;

  /// The namespace that stands for the machine's: the bridge of the containers' network is in it.
  [[nodiscard]] std::string host_netns() const { return host_.path(); }
  static constexpr const char* kImage = "localhost/lockstep";
  [[nodiscard]] const std::string& network() const { return network_; }
  [[nodiscard]] static std::string address(std::size_t host) { return "10.79.0." + std::to_string(host); }

  /// podman ARGUMENTS…; throws when it fails. Returns its output without the last newline.
  std::string run(std::vector<std::string> arguments) const;
  [[nodiscard]] CommandResult try_run(std::vector<std::string> arguments) const;
  /// A field of `podman container inspect`, by its template: "{{.State.Running}}".
  [[nodiscard]] std::string field(const std::string& container, const std::string& format) const;

 private:
  void configure(const std::filesystem::path& criu_folder) const;

  std::filesystem::path dir_;
  Namespace host_{"host"};
  /// One name for each test: Podman keeps the addresses that it has given out in a file of the whole machine, by network,
  /// and those of a test that was killed stay there.
  std::string network_ = dir_.filename().string();
};

}  // namespace lockstep::e2e
