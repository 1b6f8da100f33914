/// The agent when others fall silent, die, or come back: nothing stays locked, nothing is committed by half.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/agent/rig.hpp"

namespace lockstep::agent::test {
namespace {

using Lines = std::vector<std::string>;

constexpr milliseconds kSilence(3'600);   ///< 3 s, and the turn that notices it
constexpr milliseconds kInDoubt(10'600);

bool said(const Actions& actions, const std::string& line) { return std::ranges::count(actions.lines(), line) > 0; }

std::vector<RoundId> rounds_in_next_heartbeat(Rig& rig) {
  const Actions turn = rig.pass(milliseconds(500));
  for (const Message& message : turn.to_broker()) {
    if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) return heartbeat->held_rounds;
  }
  return {};
}

TEST(ASilentBroker, BeforeTheVoteIsGivenUp) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  const Actions silence = rig.pass(kSilence, false);
  EXPECT_TRUE(said(silence, "hook 1 < Answer abort m1, last"));
  EXPECT_TRUE(rig.network.locked.empty());
  EXPECT_FALSE(rig.core().joined());
  EXPECT_TRUE(said(silence, "broker < Hello")) << "and called";
}

TEST(ASilentBroker, ThatNeverAnsweredIsNamedToTheHook) {
  CoreSettings settings = Rig::settings_of_a_sidecar();
  settings.broker = "tcp://10.0.0.1:7600";
  Rig rig(settings);
  (void)rig.hook(1, HookAction::pre_dump, 1);
  const std::vector<Message> told = rig.pass(kSilence, false).to_hook(1);
  ASSERT_FALSE(told.empty());
  const auto* answer = std::get_if<Answer>(&told.back().body);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->verdict, Verdict::abort);
  EXPECT_EQ(answer->reason, "the broker at tcp://10.0.0.1:7600 has not been heard for 3000 ms");
}

TEST(ASilentBroker, AfterTheVoteIsWaitedForUntilTheDoubtIsOver) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  EXPECT_FALSE(said(rig.pass(milliseconds(9'900), false), "hook 1 < Answer abort m1, last"));
  EXPECT_EQ(rig.network.locked.size(), 1U);
  EXPECT_TRUE(said(rig.pass(milliseconds(700), false), "hook 1 < Answer abort m1, last"));
  EXPECT_TRUE(rig.network.locked.empty());
}

TEST(ASilentBroker, IsWaitedForByARestoreThatAnotherAgentVotesFor) {
  Rig rig;  // as a relay: the member's pod was locked by another agent
  (void)rig.join();
  (void)rig.hook(1, HookAction::post_restore, 1);
  EXPECT_FALSE(said(rig.pass(kSilence, false), "hook 1 < Answer abort m1, last"));
  EXPECT_TRUE(said(rig.pass(milliseconds(7'000), false), "hook 1 < Answer abort m1, last"));
}

TEST(ASilentBroker, ThatComesBackInTimeStillDecides) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.pass(milliseconds(8'000), false);
  EXPECT_TRUE(said(rig.join(), "broker < HookEvent post-dump m1")) << "the outcome is asked for";
  EXPECT_EQ(rig.release(Phase::commit).lines(), Lines{"hook 1 < Answer go m1, last"});
}

TEST(ASilentBroker, AfterTheCommitChangesNothingAboutIt) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  (void)rig.pass(kSilence, false);
  EXPECT_EQ(rig.network.locked.size(), 1U) << "the tasks are not gone yet";
  rig.network.living.clear();
  (void)rig.pass(milliseconds(100), false);
  EXPECT_TRUE(rig.network.locked.empty()) << "no broker is needed for that";
}

TEST(TheUnlockOfACommittedDump, NeedsNoBroker) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  (void)rig.pass(kSilence, false);
  EXPECT_EQ(rig.hook(2, HookAction::network_unlock, 1).lines(), Lines{"hook 2 < Answer go m1, last"});
  EXPECT_TRUE(rig.network.locked.empty());
}

TEST(AHook, ThatComesWhileThereIsNoBrokerIsAnsweredAtOnce) {
  for (const HookAction action : {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump,
                                  HookAction::network_unlock, HookAction::pre_restore}) {
    Rig rig;
    (void)rig.pass(kSilence, false);
    EXPECT_EQ(rig.hook(1, action, 1).lines(), Lines{"hook 1 < Answer abort m1, last"});
  }
}

TEST(AHook, ThatComesBeforeTheFirstWelcomeWaitsForIt) {
  Rig rig;
  EXPECT_EQ(rig.hook(1, HookAction::pre_dump, 1).lines(), Lines{});
  EXPECT_EQ(rig.join().lines(), Lines{"broker < HookEvent pre-dump m1"});
}

// --- what was given up stays given up -------------------------------------------------------------------------------

TEST(ARoundGivenUp, IsNeverVotedForAgain) {
  // The broker stood still for 4 s and does not know it: the pod has been open meanwhile.
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.pass(kSilence, false);
  ASSERT_TRUE(rig.network.locked.empty());
  EXPECT_EQ(rig.join().lines(), Lines{"broker < Ready lock no m1"}) << "told at once";
  (void)rig.hook(1, HookAction::post_dump, 1);
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{"broker < Ready commit no m1"});
  EXPECT_EQ(rig.order(Phase::lock, 1).lines(), Lines{"broker < Ready lock no m1"});
  EXPECT_TRUE(rig.network.locked.empty());
  EXPECT_EQ(rounds_in_next_heartbeat(rig), std::vector<RoundId>{kRound}) << "until the broker says that it is over";
  (void)rig.round_ends(Verdict::abort);
  EXPECT_TRUE(rounds_in_next_heartbeat(rig).empty());
}

TEST(AVoteGivenUp, IsTakenBack) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.pass(kInDoubt, false);
  EXPECT_EQ(rig.join().lines(), Lines{"broker < Ready lock no m1"});
}

TEST(ALockThatRanOut, IsReportedAndNeverVotedFor) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.network.broken = {"renew"};
  EXPECT_TRUE(said(rig.pass(milliseconds(15'000)), "broker < Ready lock no m1"));
  rig.network.broken.clear();
  (void)rig.hook(1, HookAction::post_dump, 1);
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{"broker < Ready commit no m1"});
}

TEST(AnAgentThatStoodStill, NoticesBeforeItVotes) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  rig.sleep(milliseconds(15'000));
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), (Lines{"broker < Ready lock no m1", "broker < Ready commit no m1"}));
}

TEST(AnAgentThatStoodStill, NoticesBeforeItVotesAlsoWhileTheRecordIsWritten) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  (void)rig.order(Phase::commit, 1);
  rig.sleep(milliseconds(15'000));
  EXPECT_EQ(rig.hook_says(1, {kRound, kGroup, member(1), 1, Stored{true, {}}}).lines(),
            (Lines{"broker < Ready lock no m1", "broker < Ready commit no m1"}));
}

TEST(ALockThatSomebodyHasRemoved, IsNoticedWithTheNextRenewalAndNeverVotedFor) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.network.flushed = true;
  const Actions noticed = rig.pass(milliseconds(5'000));
  EXPECT_EQ(noticed.lines(), Lines{"broker < Ready lock no m1"});
  EXPECT_NE(noticed.log().find("removed by somebody else"), std::string::npos) << noticed.log();
  rig.network.flushed = false;
  (void)rig.hook(1, HookAction::post_dump, 1);
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{"broker < Ready commit no m1"});
}

TEST(ALockThatSomebodyHasRemoved, IsNoticedBeforeTheVoteWhereThatIsQuick) {
  for (const bool quick : {true, false}) {
    Rig rig;
    rig.network.quick = quick;
    (void)rig.join();
    rig.lock(1);
    (void)rig.hook(1, HookAction::post_dump, 1);
    (void)rig.order(Phase::commit, 1);
    rig.network.flushed = true;
    EXPECT_EQ(rig.hook_says(1, {kRound, kGroup, member(1), 1, Stored{true, {}}}).lines(),
              quick ? (Lines{"broker < Ready lock no m1", "broker < Ready commit no m1"})
                    : Lines{"broker < Ready commit m1"});
  }
}

TEST(ALockThatSomebodyHasRemoved, AfterTheCommitLeavesAnOpenPod) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  rig.network.flushed = true;
  const Actions noticed = rig.pass(milliseconds(5'100));
  EXPECT_TRUE(said(noticed, "broker < Ready unlock m1"));
  EXPECT_FALSE(said(noticed, "broker < Ready lock no m1"));
}

// --- a broker that was restarted ------------------------------------------------------------------------------------

TEST(ARestartedBroker, IsToldAgainWhoWeAre) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  const Actions hello = rig.broker_says({{}, {}, {}, 1, Refused{"say Hello first", true}});
  ASSERT_EQ(hello.lines(), Lines{"broker < Hello"});
  EXPECT_EQ(std::get<Hello>(hello.to_broker().at(0).body).held_rounds, std::vector<RoundId>{kRound});
  (void)rig.join("broker-2");
  const Release unknown{Operation::dump, Phase::prepare, Verdict::abort, "the broker does not know this round", {}, true};
  (void)rig.broker_says({kRound, {}, {}, 0, unknown});
  EXPECT_TRUE(rig.network.locked.empty());
}

TEST(ARestartedBroker, NumbersItsPublicationsAnewWithoutAGap) {
  Rig rig;
  (void)rig.join();
  for (int i = 0; i < 5; ++i) (void)rig.release(Phase::prepare);
  (void)rig.join("broker-2");
  (void)rig.hook(1, HookAction::network_lock, 1);
  EXPECT_EQ(rig.release(Phase::prepare).lines(), Lines{});
}

TEST(ARefusal, WithoutSayHelloIsLoggedAndNothingElse) {
  Rig rig;
  (void)rig.join();
  const Actions actions = rig.broker_says({{}, {}, {}, 1, Refused{"over a limit", false}});
  EXPECT_EQ(actions.lines(), Lines{});
  EXPECT_NE(actions.log().find("over a limit"), std::string::npos);
  EXPECT_TRUE(rig.core().joined());
}

// --- draining after dump-and-kill -----------------------------------------------------------------------------------

/// An agent whose key has been revoked hears nothing else.
TEST(ARefusal, IsNoSignOfLife) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  for (int i = 0; i < 8; ++i) {
    (void)rig.broker_says({{}, {}, {}, 1, Refused{"key web-1 (revoked) is not in the allow-list", false}});
    (void)rig.pass(milliseconds(500), false);
  }
  EXPECT_TRUE(rig.network.locked.empty()) << "it must not hold its pods for refusals";
  EXPECT_FALSE(rig.core().joined());
}

TEST(ARefusal, IsLoggedOnceAndNotEachTime) {
  Rig rig;
  (void)rig.join();
  EXPECT_NE(rig.broker_says({{}, {}, {}, 1, Refused{"no", false}}).log(), "");
  EXPECT_EQ(rig.broker_says({{}, {}, {}, 2, Refused{"no", false}}).log(), "");
  EXPECT_NE(rig.broker_says({{}, {}, {}, 3, Refused{"never", false}}).log(), "");
}

TEST(AfterDumpAndKill, ThePodStaysLockedUntilTheLastSocketIsGone) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  EXPECT_EQ(rig.pass(milliseconds(400)).lines(), Lines{});
  EXPECT_EQ(rig.network.locked.size(), 1U);
  rig.network.living = {12};
  EXPECT_EQ(rig.pass(milliseconds(60)).lines(), Lines{});
  rig.network.living.clear();
  EXPECT_EQ(rig.pass(milliseconds(60)).lines(), Lines{"broker < Ready unlock m1"});
  EXPECT_TRUE(rig.network.locked.empty());
}

TEST(AfterDumpAndKill, TheUnlockIsReportedUntilTheRoundIsOver) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  rig.network.living.clear();
  (void)rig.release(Phase::commit);
  EXPECT_EQ(rig.pass(milliseconds(2'100)).lines(), Lines(5, "broker < Ready unlock m1"));
  (void)rig.round_ends(Verdict::go);
  EXPECT_EQ(rig.pass(milliseconds(2'000)).lines(), Lines{});
}

TEST(AfterDumpAndKill, AnErrorThatSaysNothingOfTheSocketsKeepsTheLock) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  rig.network.broken = {"sockets"};
  EXPECT_FALSE(said(rig.pass(milliseconds(200)), "broker < Ready unlock m1"));
  rig.network.broken = {};
  rig.network.living.clear();
  EXPECT_TRUE(said(rig.pass(milliseconds(100)), "broker < Ready unlock m1"));
}

TEST(AfterDumpAndKill, ANamespaceThatIsGoneIsDrained) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  rig.network.gone = true;
  EXPECT_TRUE(said(rig.pass(milliseconds(10)), "broker < Ready unlock m1"));
}

TEST(ALockInUse, IsRenewedAsLongAsTheRoundLives) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.network.take_calls();
  EXPECT_EQ(rig.pass(milliseconds(60'000)).lines(), Lines{});
  EXPECT_EQ(std::ranges::count(rig.network.calls, "renew 1001 15000"), 12);
  EXPECT_EQ(rig.network.locked.size(), 1U);
}

TEST(NextDeadline, IsNeverInThePastAfterItsTurn) {
  Rig rig;
  for (int step = 0; step < 200; ++step) {
    if (step == 20) (void)rig.join();
    if (step == 25) rig.lock(1);
    if (step == 30) rig.vote(1, 1);
    if (step == 90) (void)rig.release(Phase::commit);
    const Actions turn = rig.pass(milliseconds(97), step < 60 || step > 150);
    EXPECT_LT(turn.all.size(), 60U) << "no busy loop at step " << step;
  }
}

}  // namespace
}  // namespace lockstep::agent::test
