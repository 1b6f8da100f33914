/// How one member is found, dumped and restored: by CRIU itself (criu_driver.hpp), through the program that runs its
/// container (podman_driver.hpp), or through its node's kubelet (kubernetes/kubelet_driver.hpp). Whatever starts CRIU, its hook is what takes part in the round; drivers say what is
/// to be started for it, where its images and its log are, and what has become of the tree.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/criu_command.hpp"
#include "cli/examine/examine.hpp"
#include "cli/group_file.hpp"
#include "cli/images_archive.hpp"
#include "common/fd.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// A member of which all is known that its driver needs.
struct ReadyMember {
  const GroupMember* member = nullptr;  ///< in the GroupFile, which outlives this
  pid_t pid = 0;                        ///< dump: the root task; 0: not on this machine. Restore: the one it had, as the host saw it
  Fd root;                              ///< dump: its pidfd
  std::string container;                ///< its id, or the beginning of it; empty where it is in none
  std::string container_name;           ///< restore from an archive: the name that it comes back under
  PodId pod;                            ///< dump: where it lives. Restore: where it shall live
  Fd netns;                             ///< restore: that namespace
  std::string netns_path;               ///< restore: a path to it
  std::string ns;                       ///< kubelet: the namespace of its Pod
  std::string node;                     ///< kubelet: where it runs; empty: here
  std::string images;                   ///< the folder with CRIU's images; may be one that is unpacked for reading only. Empty: on its node
  std::string work;                     ///< the folder with CRIU's log and statistics
  std::string archive;                  ///< the file or folder that the checkpoint is exported to or restored from; or empty
  TempFolder unpacked;                  ///< restore: what of the archive had to be read before it. kubelet: `work`. For a
                                        ///< folder to export to or import: the place beside it for the archive in between
  std::string target_pod;               ///< restore: how the driver calls the pod, where its command has to name it
  std::optional<Record> record;         ///< restore: out of the images folder
  std::vector<Finding> findings;        ///< dump: what was seen of its runtime, and in its tree (tree_check.hpp)
  std::vector<std::string> more_options;  ///< for the driver's command, beside the user's: what the tree turned out to need

  /// Its processes, images and log are on another machine.
  [[nodiscard]] bool is_remote() const { return !node.empty(); }
};

/// What is the same for all members of this machine.
struct ThisMachine {
  std::string boot_id;
  std::uint64_t netns_inode = 0;  ///< of our own network namespace, which is CRIU's
};

/// No state: one of each kind serves all members. Nothing here waits for long; run_program() bounds what it runs.
class MemberDriver {
 public:
  virtual ~MemberDriver() = default;

  /// Dump: the running tree, its pod, and where its images will be. Makes their folder.
  [[nodiscard]] virtual Result<ReadyMember> find_tree(const GroupMember& member, const ThisMachine& machine) const = 0;
  /// Restore: the images and their record; no more, so that a group's records are compared first.
  [[nodiscard]] virtual Result<ReadyMember> find_images(const GroupMember& member) const = 0;
  /// Restore: the pod, and whether the tree can come back there.
  [[nodiscard]] virtual Result<void> find_place(ReadyMember& ready, const ThisMachine& machine) const = 0;

  [[nodiscard]] virtual CriuCommand dump(const RoundContext& context, const ReadyMember& ready,
                                         bool leave_running) const = 0;
  [[nodiscard]] virtual CriuCommand restore(const RoundContext& context, const ReadyMember& ready) const = 0;

  /// The root task that a restore has brought back, as the host sees it; not_found when there is none.
  [[nodiscard]] virtual Result<pid_t> restored_pid(const ReadyMember& ready) const = 0;

  /// Of a dump that is committed and whole: puts what the command has made where the user wants it.
  [[nodiscard]] virtual Result<void> keep(const ReadyMember& /*ready*/) const { return {}; }

  /// Of a dump that has succeeded: the archives that it has made on the member's node, where that is another machine.
  [[nodiscard]] virtual std::vector<std::string> archives(const ReadyMember& /*ready*/) const { return {}; }
};

[[nodiscard]] const MemberDriver& driver_of(const GroupMember& member);

// --- what drivers have in common ------------------------------------------------------------------------------------

/// An error about a member: `member "web": why`.
[[nodiscard]] Failure bad_member(const MemberId& id, std::string why, ErrorCode code = ErrorCode::invalid);
/// Fills pid, pidfd and pod of a running tree. `named` says where the pid was read, for messages.
[[nodiscard]] Result<void> look_at_tree(ReadyMember& ready, pid_t pid, const std::string& named,
                                        const ThisMachine& machine);
/// Fills the pod of a restore.
[[nodiscard]] Result<void> take_pod(ReadyMember& ready, Fd netns, std::uint64_t inode, std::string path,
                                    const ThisMachine& machine);
/// Makes the folder where it is missing, and tries to write there.
[[nodiscard]] Result<void> check_writable(const MemberId& id, const std::string& folder);
/// The record in an images folder; errors say what the folder is worth without it.
[[nodiscard]] Result<Record> read_record(const std::string& images);
/// Whether the process is there and has not ended yet. A zombie has.
[[nodiscard]] bool is_running(pid_t pid);
/// The pid in a pidfile: a number, and white space around it.
[[nodiscard]] Result<pid_t> read_pidfile(const std::string& path);

}  // namespace lockstep::cli
