/// Pods for the tests: network namespaces on a bridge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lockstep::e2e {

/// A named network namespace, deleted with its owner. The name is unique on the machine.
class Namespace {
 public:
  explicit Namespace(const std::string& suffix);
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string path() const { return "/run/netns/" + name_; }
  [[nodiscard]] std::uint64_t inode() const;

 private:
  std::string name_;
};

/// Removes what test programs that were killed have left: namespaces whose maker lives no more, and what runs in them.
void remove_stale_namespaces();

/// N pods with an IPv4 and an IPv6 address each, and a hub: a namespace of its own with the bridge, where the broker
/// lives, and the agent of the node. The machine's own network is not touched.
class Network {
 public:
  explicit Network(std::size_t pods);

  [[nodiscard]] std::size_t size() const { return pods_.size(); }
  [[nodiscard]] const Namespace& hub() const { return hub_; }
  [[nodiscard]] const Namespace& pod(std::size_t index) const { return *pods_[index]; }
  [[nodiscard]] static std::string hub_address() { return "10.78.0.1"; }
  [[nodiscard]] static std::string address4(std::size_t index) { return "10.78.0." + std::to_string(10 + index); }
  [[nodiscard]] static std::string address6(std::size_t index) { return "fd78::" + std::to_string(10 + index); }

  /// A fresh namespace takes the pod's place and addresses; the old one is deleted.
  void replace_pod(std::size_t index);

 private:
  [[nodiscard]] std::unique_ptr<Namespace> make_pod(std::size_t index);

  Namespace hub_;
  std::vector<std::unique_ptr<Namespace>> pods_;
};

}  // namespace lockstep::e2e
