/// Who takes part in a simulation: members, their pods, and the agents beside them.
#pragma once

#include <string>
#include <vector>

#include "schemas/messages.hpp"
#include "tests/sim/dice.hpp"

namespace lockstep::sim {

/// What a hook knows of itself; the less, the more the broker has to find out.
enum class HookNames : std::uint8_t { round_and_member, group_and_member, container };

struct MemberSetting {
  MemberId id;
  GroupId group;
  int pod = 0;
  std::string container;
  bool by_relay = false;  ///< its hooks can't see the agent of their pod
  bool commands = false;  ///< has commands at the frozen point
  SocketTable sockets;
};

struct AgentSetting {
  std::string name;
  std::string boot_id;
  std::vector<int> pods;  ///< a sidecar's; empty: the node's agent
};

struct Setting {
  std::vector<PodId> pods;
  std::vector<MemberSetting> members;
  std::vector<AgentSetting> agents;
  std::vector<GroupId> groups;
  HookNames names = HookNames::round_and_member;
  bool relays = true;  ///< hooks can start one
  milliseconds lease{15'000};
  milliseconds silence{3'000};
  milliseconds in_doubt{40'000};  ///< of agents, and the limit of hooks
  /// A runtime that dumps the members of a pod one after another.
  bool one_by_one = false;
  MemberOrder order = MemberOrder::detect;
  bool instant = false;  ///< messages take no time, CRIU always the same: for the explorer
  Deadlines deadlines{10'000, 10'000, 20'000, 10'000};

  [[nodiscard]] std::vector<int> members_of(const GroupId& group) const;
};

/// `members` of each group; 0: as chance will have it.
[[nodiscard]] Setting draw_setting(Dice& dice, int members);
/// Members in a pod each, one group, a sidecar beside each: nothing is left to chance.
[[nodiscard]] Setting plain_setting(int members);

}  // namespace lockstep::sim
