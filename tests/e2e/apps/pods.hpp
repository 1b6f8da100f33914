/// Where an application's members live, and how such members are checkpointed: as process trees in namespaces that the
/// test makes (tree_pods.hpp), or as Podman's containers (container_pods.hpp).
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/apps/ledger.hpp"
#include "tests/e2e/harness/process.hpp"

namespace lockstep::apps {

struct Member {
  std::string id;
  std::size_t pod = 0;
};

struct Launch {
  std::string member;
  std::size_t pod = 0;
  std::vector<std::string> command;
  std::string user = {};  ///< empty: root
};

class Pods {
 public:
  Pods() = default;
  virtual ~Pods() = default;
  Pods(const Pods&) = delete;
  Pods& operator=(const Pods&) = delete;

  [[nodiscard]] virtual const std::filesystem::path& dir() const = 0;
  [[nodiscard]] virtual std::string address(std::size_t pod) const = 0;
  /// The path of the pod's network namespace.
  [[nodiscard]] virtual std::string netns(std::size_t pod) const = 0;
  [[nodiscard]] virtual bool locked(std::size_t pod) const = 0;

  /// What the member has on the disk. It sees the folder at the same place.
  [[nodiscard]] std::filesystem::path data(const std::string& member) const { return all_data() / member; }
  [[nodiscard]] std::filesystem::path all_data() const { return dir() / "data"; }
  /// What it has said. After going back, what it had said by then, and since.
  [[nodiscard]] virtual std::filesystem::path log(const std::string& member) const = 0;
  /// The root of its tree, as seen from here.
  [[nodiscard]] pid_t pid(const std::string& member) const;

  /// Starts a member in its data folder.
  void launch(const Launch& launch);
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  /// Why the member has not started, as far as that is known.
  [[nodiscard]] virtual std::string start_failure(const std::string& member) const = 0;
  /// Runs a command of this machine in the pod's network, to its end.
  [[nodiscard]] e2e::CommandResult run(std::size_t pod, const std::vector<std::string>& command,
                                       std::chrono::milliseconds limit = std::chrono::seconds(60)) const;

  /// Writes the group's file, for checkpoints and restores in place, and returns its path.
  [[nodiscard]] virtual std::string write_group() = 0;
  /// As write_group(), for a checkpoint that can be gone back to: commands keep all files at the frozen point.
  [[nodiscard]] virtual std::string write_group_that_keeps() = 0;
  [[nodiscard]] virtual e2e::CommandResult lockstep(const std::vector<std::string>& arguments,
                                                    std::chrono::milliseconds limit) const = 0;
  [[nodiscard]] virtual std::uint64_t image_bytes(const std::string& member) const = 0;
  /// After a checkpoint that killed all: whatever a restore needs beside the images. Returns the group's file.
  [[nodiscard]] virtual std::string make_ready() = 0;
  /// Ends all members, with no regard for what they do.
  virtual void end_members(const std::vector<pid_t>& processes) = 0;
  /// After end_members(): the files are again what write_group_that_keeps() has kept of them. Returns the group's file.
  [[nodiscard]] virtual std::string go_back() = 0;
  /// Ends everything of lockstep, and lists what of it is left.
  [[nodiscard]] virtual Faults shut_down() = 0;

 protected:
  virtual void start(const Launch& launch) = 0;
  [[nodiscard]] std::filesystem::path pidfile(const std::string& member) const { return dir() / (member + ".pid"); }
  /// Where copies made at the frozen point go.
  [[nodiscard]] std::filesystem::path kept() const { return dir() / "kept"; }
  /// Lines of a group's file: a copy of the member's data at the frozen point.
  [[nodiscard]] std::string command_to_keep_data(const std::string& member) const;
  /// The copies take the data's place.
  void put_data_back() const;

 private:
  std::vector<Member> members_;
};

/// A command of a group's file, at the frozen point.
[[nodiscard]] std::string command_at_frozen(const std::vector<std::string>& words);
/// CRIU's images in a folder.
[[nodiscard]] std::uint64_t image_bytes_in(const std::filesystem::path& folder);

/// The machine may be slow, and what it waits for is not what is tested here.
inline constexpr auto kDeadlines = "deadlines: {prepare: 30s, lock: 30s, commit: 60s, finish: 30s}\nlease: 30s\n";
/// Preloaded into CRIU, which is told what it may not ask for (prlimit_shim.cpp).
inline constexpr auto kLimitsShim = "lockstep-prlimit.so";

}  // namespace lockstep::apps
