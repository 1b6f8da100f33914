/// Members that are Podman's containers: `podman container checkpoint` and `restore` are started for each of them. The
/// runtime (runc) starts CRIU, and CRIU the hook, as its configuration file says (/etc/criu/runc.conf).
///
/// The images stay in Podman's own folder for the container, unless the member names an archive, or a folder that takes
/// what the archive would hold (export_folder.hpp).
#pragma once

#include "cli/member_driver.hpp"

namespace lockstep::cli {

class PodmanDriver : public MemberDriver {
 public:
  [[nodiscard]] Result<ReadyMember> find_tree(const GroupMember& member, const ThisMachine& machine) const override;
  [[nodiscard]] Result<ReadyMember> find_images(const GroupMember& member) const override;
  [[nodiscard]] Result<void> find_place(ReadyMember& ready, const ThisMachine& machine) const override;
  [[nodiscard]] CriuCommand dump(const RoundContext& context, const ReadyMember& ready,
                                 bool leave_running) const override;
  [[nodiscard]] CriuCommand restore(const RoundContext& context, const ReadyMember& ready) const override;
  [[nodiscard]] Result<pid_t> restored_pid(const ReadyMember& ready) const override;
  [[nodiscard]] Result<void> keep(const ReadyMember& ready) const override;
};

}  // namespace lockstep::cli
