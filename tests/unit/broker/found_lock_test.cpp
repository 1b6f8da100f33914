/// An agent that has just started has found its pod locked for a round: what the broker makes of it.
#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

constexpr std::size_t kCommitPhase = 2;
constexpr std::size_t kLastPhase = 3;
const PeerId kSuccessor("a9");

/// The agent of pod 1 says Hello for the first time in its life.
Hello successor(std::vector<RoundId> found) {
  return {Role::agent, "agent-1b", "boot-1", {pod(1).netns_inode}, false, found, found};
}

Rig& bring_to(Rig& rig, Operation operation, std::size_t phases, bool leave_running = false) {
  rig.everybody_says_hello(2);
  (void)rig.open(plan(operation, 2, leave_running));
  rig.walk(2, phases);
  return rig;
}

TEST(AFoundLock, OfAnUndecidedRoundAbortsIt) {
  for (const std::size_t phases : {std::size_t{1}, kCommitPhase}) {
    Rig rig;
    // The pod had the node's agent: that one is not taken for the former life of a sidecar.
    Hello node{Role::agent, "node", "boot-1", {}, true, {}};
    (void)rig.hello(agent(1), node);
    (void)rig.hello(agent(2), node);
    (void)rig.hello(kClient, Hello{Role::client, "cli", "boot-1", {}, false, {}});
    (void)rig.open(plan(Operation::dump, 1));
    (void)rig.hello(agent(1), node);
    rig.walk(1, phases);
    ASSERT_EQ(rig.status().state, RoundState::open);
    const auto said = rig.hello(kSuccessor, successor({kRound})).published(kReleaseTopic);
    ASSERT_EQ(said.size(), 1U) << phases;
    EXPECT_EQ(std::get<Release>(said[0].body).verdict, Verdict::abort);
    EXPECT_NE(rig.status().reason.find("agent agent-1b was restarted in mid-round"), std::string::npos)
        << rig.status().reason;
    EXPECT_EQ(rig.status().culprit, member(1));
  }
}

TEST(AFoundLock, OfARoundThatIsOverOrUnknownIsTold) {
  Rig rig;
  bring_to(rig, Operation::dump, kCommitPhase);
  (void)rig.ask(AbortRound{"x"});
  EXPECT_EQ(rig.hello(kSuccessor, successor({kRound, RoundId("r-x")})).lines(),
            (Lines{"a9 < Welcome", "a9 < Release commit abort over", "a9 < Release prepare abort over"}));
}

TEST(AFoundLock, OfADecidedRoundComesWithItsOrdersFirst) {
  Rig rig;
  bring_to(rig, Operation::dump, kLastPhase);
  const Actions told = rig.hello(kSuccessor, successor({kRound}));
  EXPECT_EQ(told.lines(), (Lines{"a9 < Order lock m1", "a9 < Welcome", "a9 < Release commit go"}));
  const Message first = told.sent_to(kSuccessor).at(0);
  EXPECT_EQ(std::get<Order>(first.body).socket_inodes, hook(HookAction::network_lock, 1).socket_inodes);
  EXPECT_EQ(std::get<Order>(first.body).pod, pod(1));

  (void)rig.ready(2, kLastPhase);
  EXPECT_EQ(rig.status().state, RoundState::committed) << "m1's tasks may still be there: the end would open its pod";
  (void)rig.say(kSuccessor, 1, Ready{Phase::unlock, true, {}, {}, {}});
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_EQ(rig.status().reason, "");
}

TEST(AFoundLock, OfADecidedRoundThatABrokerHasTakenOverWaitsForCriu) {
  MemoryJournal journal;
  {
    Rig first(journal);
    bring_to(first, Operation::dump, kLastPhase);
  }
  Rig rig(journal);
  rig.everybody_says_hello(2);
  EXPECT_EQ(rig.hello(kSuccessor, successor({kRound})).lines(), (Lines{"a9 < Welcome", "a9 < Release commit go"}))
      << "which sockets are the member's is not known any more";
  EXPECT_EQ(rig.say(kClient, 1, MemberResult{true, {}}).lines(),
            (Lines{"a9 < Order unlock m1", "cli < RoundStatus m1"}));
}

TEST(AnAgentLostAfterADumpAndKill, IsReplacedByItsSuccessorOrByTheEndOfCriu) {
  Rig rig;
  bring_to(rig, Operation::dump, kLastPhase);
  (void)rig.lose(agent(1));
  (void)rig.ready(2, kLastPhase);
  EXPECT_EQ(rig.status().state, RoundState::committed);
  (void)rig.say(kClient, 1, MemberResult{true, {}});
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_NE(rig.status().reason.find("was lost after the commit; the pod's lock ends with its lease"),
            std::string::npos);
}

TEST(AnAgentLostAfterADumpAndKill, ThatNobodyReplacesIsNamedAtTheDeadline) {
  Rig rig;
  bring_to(rig, Operation::dump, kLastPhase);
  (void)rig.lose(agent(1));
  (void)rig.ready(2, kLastPhase);
  (void)rig.pass(milliseconds(plan(Operation::dump, 2).deadlines.finish_ms + 1'000), 2);
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_NE(rig.status().reason.find("m1 (its agent agent-1 was lost)"), std::string::npos) << rig.status().reason;
}

TEST(AnAgentLostBeforeTheUnlock, OfMembersThatRunOnKeepsNobodyWaiting) {
  Rig rig;
  bring_to(rig, Operation::dump, kLastPhase, true);
  (void)rig.lose(agent(1));
  (void)rig.arrive(2, kLastPhase);
  (void)rig.ready(2, kLastPhase);
  EXPECT_EQ(rig.status().state, RoundState::complete);
}

}  // namespace
}  // namespace lockstep::broker::test
