/// An early go, of a round whose members of one pod come one after another: it lets a hook go, and is no decision.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/agent/rig.hpp"

namespace lockstep::agent::test {
namespace {

using Lines = std::vector<std::string>;

constexpr milliseconds kSilence(3'600);  ///< 3 s, and the turn that notices it

Message early(Phase phase, int number) {
  Release release{Operation::dump, phase, Verdict::go, {}, {}, false};
  release.early = true;
  return {kRound, kGroup, member(number), 0, release};
}

bool said(const Actions& actions, const std::string& line) { return std::ranges::count(actions.lines(), line) > 0; }

class EarlyGo : public ::testing::Test {
 protected:
  /// m1 is locked, has voted, and goes.
  EarlyGo() {
    (void)rig_.join();
    rig_.lock(1);
    rig_.vote(1, 1);
    went_ = rig_.broker_says(early(Phase::commit, 1));
  }
  /// m2, of the same pod, gets as far as to its vote.
  void next_votes() {
    Order lock{.phase = Phase::lock,
               .operation = Operation::dump,
               .pod = pod(1),
               .root_pid = 202,
               .netns_path = {},
               .lease_ms = 15'000,
               .socket_inodes = {21, 22},
               .record = {}};
    (void)rig_.broker_says({kRound, kGroup, member(2), 0, lock});
    rig_.vote(2, 2);
  }

  Rig rig_;
  Actions went_;
};

TEST_F(EarlyGo, AnswersItsHookAndLeavesThePodLocked) {
  EXPECT_EQ(went_.lines(), Lines{"hook 1 < Answer go m1, last"});
  (void)rig_.pass(milliseconds(1'000));
  (void)rig_.hook(3, HookAction::network_unlock, 1);
  EXPECT_EQ(rig_.broker_says(early(Phase::unlock, 1)).lines(), Lines{"hook 3 < Answer go m1, last"});
  (void)rig_.pass(milliseconds(20'000));
  EXPECT_EQ(rig_.network.locked.size(), 1U) << "renewed, for those that come after it";
}

TEST_F(EarlyGo, IsNoDecision) {
  // Of a committed dump the sockets would be waited for, and the share given back when they are gone.
  rig_.network.living.clear();
  (void)rig_.pass(milliseconds(1'000));
  EXPECT_EQ(rig_.network.locked.size(), 1U);
  (void)rig_.round_ends(Verdict::abort, "m2 failed");
  EXPECT_TRUE(rig_.network.locked.empty());
}

TEST_F(EarlyGo, AnOldOrderToVoteIsAnsweredWithItsVote) {
  EXPECT_TRUE(said(rig_.order(Phase::commit, 1), "broker < Ready commit m1"));
}

TEST_F(EarlyGo, WithoutABrokerThePodOpensAndTheRoundIsBroken) {
  (void)rig_.pass(kSilence, false);
  EXPECT_TRUE(rig_.network.locked.empty()) << "the round can't be decided without others of this pod";
  (void)rig_.join();
  EXPECT_TRUE(said(rig_.order(Phase::lock, 2), "broker < Ready lock no m2"));
}

TEST_F(EarlyGo, WithAnotherVoteOfThePodTheBrokerIsWaitedFor) {
  next_votes();
  (void)rig_.pass(kSilence, false);
  EXPECT_EQ(rig_.network.locked.size(), 1U);
  (void)rig_.hook(3, HookAction::network_unlock, 1);
  EXPECT_EQ(rig_.network.locked.size(), 1U);
}

TEST_F(EarlyGo, SharesGoBackTogetherAfterTheDecision) {
  next_votes();
  EXPECT_EQ(rig_.release(Phase::commit).lines(), Lines{"hook 2 < Answer go m2, last"});
  EXPECT_TRUE(said(rig_.order(Phase::unlock, 1), "broker < Ready unlock m1"));
  EXPECT_EQ(rig_.network.locked.size(), 1U);
  Order unlock{.phase = Phase::unlock,
               .operation = Operation::dump,
               .pod = pod(1),
               .root_pid = 202,
               .netns_path = {},
               .lease_ms = 15'000,
               .socket_inodes = {},
               .record = {}};
  EXPECT_TRUE(said(rig_.broker_says({kRound, kGroup, member(2), 0, unlock}), "broker < Ready unlock m2"));
  EXPECT_TRUE(rig_.network.locked.empty());
}

}  // namespace
}  // namespace lockstep::agent::test
