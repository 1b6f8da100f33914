/// Whole rounds: who is told what, in which order.
#include <gtest/gtest.h>

#include <algorithm>

#include "schemas/codec.hpp"
#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

TEST(Dump, OfTwoMembersGoesThroughItsBarriersInOrder) {
  Rig rig;
  rig.everybody_says_hello(2);
  EXPECT_EQ(rig.open(plan(Operation::dump, 2, true)).lines(), Lines{"cli < RoundStatus"});
  for (std::size_t i = 0; i < kPhasesPerRound; ++i) {
    const std::string phase(to_string(kDumpPhases[i]));
    EXPECT_EQ(rig.arrive(1, i).lines(), Lines{"a1 < Order " + phase + " m1"});
    EXPECT_EQ(rig.ready(1, i).lines(), Lines{});
    EXPECT_EQ(rig.arrive(2, i).lines(), Lines{"a2 < Order " + phase + " m2"});
    EXPECT_EQ(rig.ready(2, i).lines(), Lines{"PUB Release " + phase + (i == 3 ? " go over" : " go")});
    EXPECT_EQ(rig.status().state, i < 2 ? RoundState::open : i == 2 ? RoundState::committed : RoundState::complete);
  }
  EXPECT_EQ(rig.status().reason, "");
}

TEST(Dump, ThatKillsIsCompleteWhenEveryShareOfTheLocksIsBack) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  rig.walk(2, 3);
  // m1's agent has seen the last socket go; m2's CRIU has ended first.
  EXPECT_EQ(rig.ready(1, 3).lines(), Lines{});
  EXPECT_EQ(rig.say(kClient, 2, MemberResult{true, {}}).lines(), (Lines{"a2 < Order unlock m2", "cli < RoundStatus m2"}));
  EXPECT_EQ(rig.ready(2, 3).lines(), Lines{"PUB Release unlock go over"});
  EXPECT_GE(rig.status().members[0].unlocked_us, 0);
}

TEST(Restore, OfTwoMembersEndsInResume) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::restore, 2));
  rig.walk(2, 3);
  EXPECT_EQ(rig.status().state, RoundState::committed);
  EXPECT_EQ(rig.arrive(1, 3).lines(), Lines{"a1 < Order resume m1"});
  EXPECT_EQ(rig.arrive(2, 3).lines(), Lines{"a2 < Order resume m2"});
  EXPECT_EQ(rig.ready(1, 3).lines(), Lines{});
  EXPECT_EQ(rig.ready(2, 3).lines(), Lines{"PUB Release resume go over"});
}

class AnyNumber : public ::testing::TestWithParam<std::tuple<Operation, int, bool>> {};

INSTANTIATE_TEST_SUITE_P(Rounds, AnyNumber,
                         ::testing::Combine(::testing::Values(Operation::dump, Operation::restore),
                                            ::testing::Values(1, 2, 5), ::testing::Bool()));

TEST_P(AnyNumber, OfMembersCommitsOnceAndTogether) {
  const auto [operation, members, leave_running] = GetParam();
  Rig rig;
  rig.everybody_says_hello(members);
  (void)rig.open(plan(operation, members, leave_running));
  for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
    for (int i = 1; i <= members; ++i) {
      EXPECT_EQ(rig.arrive(i, phase).sent_to(agent(i)).size(), 1U);
      EXPECT_EQ(rig.ready(i, phase).published(kReleaseTopic).size(), i == members ? 1U : 0U);
    }
  }
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_EQ(rig.broker().counters.rounds_committed, 1U);
  for (const MemberStatus& member : rig.status().members) {
    for (const PhaseTimes& times : member.phases) EXPECT_GE(times.released_us, times.arrived_us);
  }
}

TEST(TwoMembersOfOnePod, AreTwoHoldersAtOneAgent) {
  Rig rig;
  rig.everybody_says_hello(1);
  OpenRound open = plan(Operation::dump, 2);
  open.members[1].pod = pod(1);
  (void)rig.open(open);
  const auto come = [&](int number, HookAction action) {
    HookEvent event = hook(action, number);
    event.pod = pod(1);
    return rig.say(agent(1), number, event);
  };
  EXPECT_EQ(come(1, HookAction::pre_dump).lines(), Lines{"a1 < Order prepare m1"});
  EXPECT_EQ(come(2, HookAction::pre_dump).lines(), Lines{"a1 < Order prepare m2"});
  EXPECT_EQ(rig.say(agent(1), 2, Ready{Phase::prepare, true, {}, {}, {}}).lines(), Lines{});
  EXPECT_EQ(rig.say(agent(1), 1, Ready{Phase::prepare, true, {}, {}, {}}).lines(), Lines{"PUB Release prepare go"});
}

TEST(Orders, CarryWhatTheAgentNeeds) {
  Rig rig;
  rig.everybody_says_hello(1);
  OpenRound open = plan(Operation::dump, 1);
  open.members[0].netns_path = "/run/netns/p";
  open.lease_ms = 12'000;
  (void)rig.open(open);
  rig.walk(1, 1);
  const Actions lock = rig.arrive(1, 1);
  const auto order = std::get<Order>(lock.sent_to(agent(1)).at(0).body);
  EXPECT_EQ(order.pod, pod(1));
  EXPECT_EQ(order.root_pid, 201);
  EXPECT_EQ(order.netns_path, "/run/netns/p");
  EXPECT_EQ(order.lease_ms, 12'000U);
  EXPECT_EQ(order.socket_inodes, (std::vector<std::uint64_t>{10, 11}));
  EXPECT_TRUE(order.record.empty());
}

TEST(TheRecord, HoldsWhatTheAgentSawAtTheLock) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2, true));
  rig.walk(2, 1);
  for (int i = 1; i <= 2; ++i) {
    (void)rig.arrive(i, 1);
    Socket socket;
    socket.inode = static_cast<std::uint64_t>(i);
    (void)rig.say(agent(i), i, Ready{Phase::lock, true, {}, {{"eth0", IpFamily::v4, {10, 0, 0, 1}, 24}}, {socket}});
  }
  const Actions commit = rig.arrive(2, 2);
  const auto record = decode_record(std::get<Order>(commit.sent_to(agent(2)).at(0).body).record.bytes);
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_EQ(record->round, kRound);
  EXPECT_EQ(record->group, kGroup);
  EXPECT_EQ(record->member, member(2));
  EXPECT_EQ(record->members, (std::vector<MemberId>{member(1), member(2)}));
  EXPECT_EQ(record->pod, pod(2));
  EXPECT_EQ(record->root_pid, 202);
  EXPECT_TRUE(record->leave_running);
  ASSERT_EQ(record->sockets.size(), 1U);
  EXPECT_EQ(record->sockets[0].inode, 2U);
  EXPECT_EQ(record->addresses.size(), 1U);
  EXPECT_EQ(rig.status().members[1].sockets, 1U);
}

TEST(TheRecord, LabelsAConnectionThatAnAgentSawTranslated) {
  const auto end = [](std::uint8_t host, std::uint16_t port) { return Endpoint{IpFamily::v4, {10, 0, 0, host}, port}; };
  const Endpoint client = end(1, 40'000), server = end(2, 8'080), service = end(99, 80);
  for (const bool seen : {true, false}) {
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::dump, 2, true));
    rig.walk(2, 1);
    for (int i = 1; i <= 2; ++i) {
      (void)rig.arrive(i, 1);
      Ready ready{Phase::lock, true, {}, {{"eth0", IpFamily::v4, end(static_cast<std::uint8_t>(i), 0).address, 24}}, {}};
      ready.sockets = {{.local = i == 1 ? client : server, .remote = i == 1 ? service : client,
                        .state = TcpState::established, .inode = 7}};
      if (seen && i == 1) ready.nat = {{client, service, server, client}};
      (void)rig.say(agent(i), i, ready);
    }
    const Actions commit = rig.arrive(2, 2);
    const auto record = decode_record(std::get<Order>(commit.sent_to(agent(2)).at(0).body).record.bytes);
    ASSERT_TRUE(record) << record.error().message();
    EXPECT_EQ(record->labels.at(0).label, seen ? ConnectionLabel::internal_service : ConnectionLabel::ambiguous);
  }
}

TEST(TheRelay, StoresTheRecordAndTheOwnerLocks) {
  // A hook that reached another agent than its pod's: the record goes where the hook is.
  Rig rig;
  rig.everybody_says_hello(1);
  const PeerId relay("relay");
  (void)rig.hello(relay, {Role::relay, "relay", "boot-1", {}, false, {}});
  (void)rig.open(plan(Operation::dump, 1));
  const Lines to_whom{"a1 < Order prepare m1", "a1 < Order lock m1", "relay < Order commit m1"};
  for (std::size_t phase = 0; phase < 3; ++phase) {
    EXPECT_EQ(rig.say(relay, 1, hook(action_of(Operation::dump, phase), 1)).lines(), Lines{to_whom[phase]});
    (void)rig.say(phase == 2 ? relay : agent(1), 1, Ready{kDumpPhases[phase], true, {}, {}, {}});
  }
  EXPECT_EQ(rig.status().state, RoundState::committed);
}

TEST(RepeatedEvents, KeepTheNumberOfTheirQuestion) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.arrive(1, 0);
  (void)rig.ready(1, 0);
  const Actions pending = rig.say(agent(1), 1, hook(HookAction::pre_dump, 1), 41);
  EXPECT_EQ(pending.sent_to(agent(1)).at(0).sequence, 41U);
  EXPECT_EQ(std::get<Pending>(pending.sent_to(agent(1)).at(0).body).remaining_ms, 10'000U);
  (void)rig.arrive(2, 0);
  (void)rig.ready(2, 0);
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Actions again = rig.say(agent(1), 1, hook(HookAction::pre_dump, 1), 41);
    EXPECT_EQ(again.lines(), Lines{"a1 < Release prepare go m1"});
    EXPECT_EQ(again.sent_to(agent(1)).at(0).sequence, 41U);
  }
}

TEST(ALostOrder, IsGivenAgainToWhoAsksAgain) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.arrive(1, 0).lines(), Lines{"a1 < Order prepare m1"});
}

TEST(AThousandMembers, CostEachMemberAHandfulOfActions) {
  constexpr int kMembers = 1'000;
  Rig rig;
  for (int i = 1; i <= kMembers; ++i) (void)rig.hello(agent(i), {Role::agent, "n", "boot-1", {pod(i).netns_inode}, false, {}});
  (void)rig.hello(kClient, {});
  (void)rig.open(plan(Operation::dump, kMembers, true));
  std::size_t actions = 0;
  for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
    for (int i = 1; i <= kMembers; ++i) actions += rig.arrive(i, phase).lines().size() + rig.ready(i, phase).lines().size();
  }
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_EQ(actions, kPhasesPerRound * (kMembers + 1)) << "an order for each, and one release for all";
}

}  // namespace
}  // namespace lockstep::broker::test
