/// Groups that the broker knows by itself, so that a round can be started from outside: a member's first hook opens it.
/// Pure; one thread.
#pragma once

#include <string>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::broker {

/// One group of groups.yaml. The operation of its plan is whatever comes.
struct StandingGroup {
  GroupId group;
  OpenRound plan;
};

class StandingGroups {
 public:
  StandingGroups() = default;
  /// Names of groups are there once, and so are members' ids within a group.
  explicit StandingGroups(std::vector<StandingGroup> groups) : groups_(std::move(groups)) {}

  struct Match {
    const StandingGroup* group = nullptr;  ///< until this object is changed
    MemberId member;
    std::string doubt;  ///< without a group: why it could be two; empty where it is none
  };
  /// Which member a hook is: by what `names`, its envelope, says, else by container, else by pod. An id of a hook that
  /// has dependencies counts only where it is some member's.
  [[nodiscard]] Match find(const Message& names, const HookEvent& event) const;
  [[nodiscard]] std::size_t size() const { return groups_.size(); }

 private:
  std::vector<StandingGroup> groups_;
};

}  // namespace lockstep::broker
