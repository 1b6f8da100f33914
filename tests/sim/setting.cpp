#include "tests/sim/setting.hpp"

namespace lockstep::sim {
namespace {

Endpoint endpoint(int pod, int port) {
  return {IpFamily::v4, {10, 0, 0, static_cast<std::uint8_t>(pod + 1)}, static_cast<std::uint16_t>(port)};
}

Socket socket(Endpoint local, Endpoint remote, std::uint64_t number) {
  Socket socket;
  socket.local = local;
  socket.remote = remote;
  socket.state = TcpState::established;
  socket.inode = 50'000 + number;
  socket.cookie = number;
  return socket;
}

/// Each member is connected with the next one of its group.
void connect_members(Setting& setting) {
  std::uint64_t number = 1;
  for (const GroupId& group : setting.groups) {
    const std::vector<int> ring = setting.members_of(group);
    for (std::size_t i = 0; i < ring.size() && ring.size() > 1; ++i) {
      MemberSetting& from = setting.members[static_cast<std::size_t>(ring[i])];
      MemberSetting& to = setting.members[static_cast<std::size_t>(ring[(i + 1) % ring.size()])];
      const Endpoint client = endpoint(from.pod, 40'000 + ring[i]);
      const Endpoint server = endpoint(to.pod, 5'000 + ring[i]);
      from.sockets.push_back(socket(client, server, number++));
      to.sockets.push_back(socket(server, client, number++));
    }
  }
}

void add_members(Setting& setting, const GroupId& group, int count) {
  for (int i = 0; i < count; ++i) {
    const int number = static_cast<int>(setting.members.size()) + 1;
    MemberSetting member;
    member.id = MemberId("m" + std::to_string(number));
    member.group = group;
    member.container = "container-" + std::to_string(number) + "-of-a-pod";
    setting.members.push_back(std::move(member));
  }
}

PodId pod_of_machine(int pod, int machine) {
  return {"boot-" + std::to_string(machine), 1000 + static_cast<std::uint64_t>(pod)};
}

void add_agents(Setting& setting, int machine, bool whole_node) {
  const std::string boot = "boot-" + std::to_string(machine);
  if (whole_node) return setting.agents.push_back({"node-" + std::to_string(machine), boot, {}});
  for (std::size_t pod = 0; pod < setting.pods.size(); ++pod) {
    if (setting.pods[pod].boot_id != boot) continue;
    setting.agents.push_back({"pod-" + std::to_string(pod), boot, {static_cast<int>(pod)}});
  }
}

}  // namespace

std::vector<int> Setting::members_of(const GroupId& group) const {
  std::vector<int> found;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].group == group) found.push_back(static_cast<int>(i));
  }
  return found;
}

Setting plain_setting(int members) {
  Setting setting;
  setting.groups = {GroupId("g1")};
  add_members(setting, setting.groups[0], members);
  for (int i = 0; i < members; ++i) {
    setting.pods.push_back(pod_of_machine(i, 1));
    setting.members[static_cast<std::size_t>(i)].pod = i;
  }
  add_agents(setting, 1, false);
  connect_members(setting);
  return setting;
}

Setting draw_setting(Dice& dice, int members) {
  Setting setting;
  const int groups = dice.one_in(4) ? 2 : 1;
  for (int g = 1; g <= groups; ++g) {
    setting.groups.emplace_back("g" + std::to_string(g));
    add_members(setting, setting.groups.back(), members > 0 ? members : 2 + dice.below(groups > 1 ? 1 : 3));
  }
  setting.one_by_one = dice.one_in(4);
  if (setting.one_by_one && dice.one_in(2)) setting.order = MemberOrder::serial;
  const int machines = 1 + dice.below(2);
  for (MemberSetting& member : setting.members) {
    // Some share a pod, also members of different groups.
    const bool shares = !setting.pods.empty() && dice.one_in(setting.one_by_one ? 2 : 4);
    if (!shares)
      setting.pods.push_back(pod_of_machine(static_cast<int>(setting.pods.size()), 1 + dice.below(machines)));
    member.pod = shares ? dice.below(static_cast<int>(setting.pods.size())) : static_cast<int>(setting.pods.size()) - 1;
    member.by_relay = dice.one_in(6);
  }
  for (int machine = 1; machine <= machines; ++machine) add_agents(setting, machine, dice.one_in(3));
  connect_members(setting);
  const int names = dice.below(10);
  setting.names = names < 6   ? HookNames::round_and_member
                  : names < 8 ? HookNames::group_and_member
                              : HookNames::container;
  setting.relays = !dice.one_in(4);
  for (MemberSetting& member : setting.members) member.by_relay = member.by_relay && setting.relays;
  constexpr std::array<int, 3> kLeases{12'000, 13'000, 15'000};
  setting.lease = milliseconds(kLeases[static_cast<std::size_t>(dice.below(3))]);
  if (!setting.one_by_one && dice.one_in(3)) {
    for (MemberSetting& member : setting.members) member.commands = dice.one_in(2);
  }
  return setting;
}

}  // namespace lockstep::sim
