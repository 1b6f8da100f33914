/// Members that are containers of a Kubernetes cluster, on whatever nodes: each one's kubelet is asked for a
/// checkpoint, through the API server. The node's runtime starts CRIU, CRIU the hook, and the hook finds its member by
/// the container's id. Nothing of such a member is on this machine: no process, no images. The kubelet leaves every
/// container running, and restores none.
#pragma once

#include "cli/member_driver.hpp"

namespace lockstep::cli {

class KubeletDriver : public MemberDriver {
 public:
  [[nodiscard]] Result<ReadyMember> find_tree(const GroupMember& member, const ThisMachine& machine) const override;
  [[nodiscard]] Result<ReadyMember> find_images(const GroupMember& member) const override;
  [[nodiscard]] Result<void> find_place(ReadyMember& ready, const ThisMachine& machine) const override;
  [[nodiscard]] CriuCommand dump(const RoundContext& context, const ReadyMember& ready,
                                 bool leave_running) const override;
  [[nodiscard]] CriuCommand restore(const RoundContext& context, const ReadyMember& ready) const override;
  [[nodiscard]] Result<pid_t> restored_pid(const ReadyMember& ready) const override;
  [[nodiscard]] std::vector<std::string> archives(const ReadyMember& ready) const override;
};

}  // namespace lockstep::cli
