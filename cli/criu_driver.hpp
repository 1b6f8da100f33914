/// Members that are process trees: CRIU is started for each of them, with the member's images folder.
#pragma once

#include "cli/member_driver.hpp"

namespace lockstep::cli {

class CriuDriver : public MemberDriver {
 public:
  [[nodiscard]] Result<ReadyMember> find_tree(const GroupMember& member, const ThisMachine& machine) const override;
  [[nodiscard]] Result<ReadyMember> find_images(const GroupMember& member) const override;
  [[nodiscard]] Result<void> find_place(ReadyMember& ready, const ThisMachine& machine) const override;
  [[nodiscard]] CriuCommand dump(const RoundContext& context, const ReadyMember& ready,
                                 bool leave_running) const override;
  [[nodiscard]] CriuCommand restore(const RoundContext& context, const ReadyMember& ready) const override;
  [[nodiscard]] Result<pid_t> restored_pid(const ReadyMember& ready) const override;
};

}  // namespace lockstep::cli
