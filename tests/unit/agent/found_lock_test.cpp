/// An agent that has been restarted in mid-round: it keeps the locks of its former life until the broker says what
/// became of the round.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/agent/rig.hpp"

namespace lockstep::agent::test {
namespace {

using Lines = std::vector<std::string>;

bool said(const Actions& actions, const std::string& line) { return std::ranges::count(actions.lines(), line) > 0; }
bool locked(const Rig& rig, int number) { return rig.network.locked.contains(pod(number).netns_inode); }

TEST(AFoundLock, IsToldToTheBrokerAndRenewed) {
  Rig rig;
  (void)rig.take_over(1);
  const auto hello = rig.start().to_broker();
  ASSERT_EQ(hello.size(), 1U);
  EXPECT_EQ(std::get<Hello>(hello[0].body).found_rounds, std::vector<RoundId>{kRound});
  EXPECT_EQ(std::get<Hello>(hello[0].body).held_rounds, std::vector<RoundId>{kRound});
  EXPECT_EQ(rig.join().lines(), Lines{}) << "it says no more about a member that it does not know";
  (void)rig.network.take_calls();
  (void)rig.pass(milliseconds(6'000));
  EXPECT_EQ(rig.network.take_calls(), Lines{"renew 1001 15000"});
}

TEST(AFoundLock, GoesWhenTheRoundIsOver) {
  for (const Verdict verdict : {Verdict::abort, Verdict::go}) {
    Rig rig;
    (void)rig.take_over(1);
    (void)rig.join();
    (void)rig.round_ends(verdict);
    EXPECT_FALSE(locked(rig, 1));
  }
}

TEST(AFoundLock, OutlastsTheBrokersSilenceForAsLongAsAVote) {
  Rig rig;
  (void)rig.take_over(1);
  (void)rig.start();
  (void)rig.pass(milliseconds(9'000), false);
  EXPECT_TRUE(locked(rig, 1)) << "the round may have been decided";
  (void)rig.pass(milliseconds(2'000), false);
  EXPECT_FALSE(locked(rig, 1));
}

TEST(AFoundLock, GoesAtTheSameTimeWhenTheBrokerDoesNotKnow) {
  Rig rig;
  (void)rig.take_over(1);
  (void)rig.join();
  (void)rig.pass(milliseconds(9'000));
  EXPECT_TRUE(locked(rig, 1));
  EXPECT_NE(rig.pass(milliseconds(2'000)).log().find("no broker has said"), std::string::npos);
  EXPECT_FALSE(locked(rig, 1));
}

TEST(AFoundLock, OfADecidedDumpStaysUntilTheSocketsAreGone) {
  Rig rig;
  (void)rig.take_over(1);
  (void)rig.order(Phase::lock, 1);  // the broker gives its orders back, then tells the decision
  (void)rig.join();
  (void)rig.release(Phase::commit);
  (void)rig.pass(milliseconds(2'000));
  EXPECT_TRUE(locked(rig, 1));
  rig.network.living.clear();
  EXPECT_TRUE(said(rig.pass(milliseconds(100)), "broker < Ready unlock m1"));
  EXPECT_FALSE(locked(rig, 1));
}

TEST(AFoundLock, OfTwoMembersGoesWithTheLast) {
  Rig rig;
  (void)rig.take_over(1);
  const auto order = [&](Phase phase, int number) {
    Order what{.phase = phase,
               .operation = Operation::dump,
               .pod = pod(1),
               .root_pid = 1,
               .netns_path = {},
               .lease_ms = 15'000,
               .socket_inodes = {11},
               .record = {}};
    return rig.broker_says({kRound, kGroup, member(number), 0, what});
  };
  (void)order(Phase::lock, 1);
  (void)order(Phase::lock, 2);
  (void)order(Phase::unlock, 1);
  EXPECT_TRUE(locked(rig, 1));
  EXPECT_TRUE(said(order(Phase::unlock, 2), "broker < Ready unlock m2"));
  EXPECT_FALSE(locked(rig, 1));
}

TEST(AFoundLock, WhoseMembersAreNotKnownGoesWhenTheBrokerOrdersIt) {
  Rig rig;
  (void)rig.take_over(1);
  (void)rig.take_over(2);
  (void)rig.join();
  (void)rig.release(Phase::commit);
  (void)rig.pass(milliseconds(1'000));
  EXPECT_TRUE(locked(rig, 1)) << "which sockets to wait for is not known";
  (void)rig.order(Phase::unlock, 1);
  EXPECT_FALSE(locked(rig, 1));
  EXPECT_TRUE(locked(rig, 2));
}

TEST(AFoundLock, ThatCanNotBeRenewedIsForgotten) {
  CoreSettings settings = Rig::settings_of_a_sidecar();
  settings.in_doubt = milliseconds(60'000);
  Rig rig(settings);
  (void)rig.take_over(1);
  (void)rig.join();
  rig.network.broken.insert("renew");
  EXPECT_NE(rig.pass(milliseconds(16'000)).log().find("has run out"), std::string::npos);
  EXPECT_FALSE(said(rig.join("broker-2"), "broker < Ready lock no")) << "of no member";
}

TEST(AFoundLock, IsLeftBehindAgainByAnAgentThatIsStopped) {
  Rig rig;
  (void)rig.take_over(1);
  (void)rig.join();
  EXPECT_EQ(rig.shut_down().lines(), Lines{});
  EXPECT_TRUE(locked(rig, 1));
}

}  // namespace
}  // namespace lockstep::agent::test
