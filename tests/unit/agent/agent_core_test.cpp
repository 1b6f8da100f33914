/// The agent in a healthy world: hooks relayed, orders obeyed, answers matched.
#include <gtest/gtest.h>

#include <algorithm>

#include "schemas/codec.hpp"
#include "tests/unit/agent/rig.hpp"

namespace lockstep::agent::test {
namespace {

using Lines = std::vector<std::string>;
using Calls = std::vector<std::string>;

TEST(AHook, IsRelayedAndAnsweredByTheRelease) {
  Rig rig;
  (void)rig.join();
  EXPECT_EQ(rig.hook(1, HookAction::pre_dump, 1).lines(), Lines{"broker < HookEvent pre-dump m1"});
  EXPECT_EQ(rig.order(Phase::prepare, 1).lines(), Lines{"broker < Ready prepare m1"});
  EXPECT_EQ(rig.release(Phase::prepare).lines(), Lines{"hook 1 < Answer go m1, last"});
  EXPECT_EQ(rig.closed(1).lines(), Lines{}) << "an answered hook is not a lost one";
}

TEST(AHook, IsAnsweredByItsOwnBarrierAlone) {
  struct Row {
    HookAction action;
    Phase phase;
  };
  for (const Row& row : {Row{HookAction::pre_dump, Phase::prepare}, Row{HookAction::network_lock, Phase::lock},
                         Row{HookAction::post_dump, Phase::commit}, Row{HookAction::network_unlock, Phase::unlock},
                         Row{HookAction::network_unlock, Phase::resume}, Row{HookAction::post_restore, Phase::commit}}) {
    for (const Phase phase : {Phase::prepare, Phase::lock, Phase::commit, Phase::unlock, Phase::resume}) {
      Rig rig;
      (void)rig.join();
      (void)rig.hook(1, row.action, 1);
      const bool last_barrier = row.phase >= Phase::unlock && phase >= Phase::unlock;
      const bool its_own = phase == row.phase || last_barrier;
      EXPECT_EQ(rig.release(phase).to_hook(1).size(), its_own ? 1U : 0U) << to_string(row.action) << to_string(phase);
    }
  }
}

TEST(AHook, OfAnotherRoundOrMemberIsNotAnswered) {
  Rig rig;
  (void)rig.join();
  (void)rig.hook(1, HookAction::pre_dump, 1);
  (void)rig.hook(2, HookAction::pre_dump, 2);
  Message other{RoundId("r-2"), GroupId("bank"), {}, 0, Release{Operation::dump, Phase::prepare, Verdict::go, {}, {}, false}};
  EXPECT_EQ(rig.broker_says(other).lines(), Lines{});
  other.round = kRound;
  other.member = member(2);
  EXPECT_EQ(rig.broker_says(other).lines(), Lines{"hook 2 < Answer go m2, last"});
}

TEST(AnAnswer, ToAnotherQuestionReachesNobodyElse) {
  // The broker refuses one hook of the round that has no member of its own; the round goes on.
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  const Actions stray = rig.hook_says(2, {kRound, kGroup, {}, 1, HookEvent{HookAction::post_dump, pod(1), 0, 0, 0, {}, {}, {}}});
  const std::uint64_t number = stray.to_broker().at(0).sequence;
  const Release no_member{Operation::dump, Phase::commit, Verdict::abort, "no such member", {}, false};
  EXPECT_EQ(rig.broker_says({kRound, {}, {}, number, no_member}).lines(), Lines{"hook 2 < Answer abort, last"});
  EXPECT_EQ(rig.network.locked.size(), 1U);
}

TEST(AHookWithoutNames, GetsThoseOfTheClaimAndOfTheBrokersAnswer) {
  CoreSettings settings = Rig::settings_of_a_sidecar();
  settings.claim_group = kGroup;
  settings.claim_member = member(1);
  for (const bool claimed : {false, true}) {
    Rig rig(claimed ? settings : Rig::settings_of_a_sidecar());
    (void)rig.join();
    const Actions event = rig.hook_says(1, {{}, {}, {}, 1, HookEvent{HookAction::pre_dump, pod(1), 0, 0, 0, "c0ffee", {}, {}}});
    EXPECT_EQ(event.to_broker().at(0).member, claimed ? member(1) : MemberId());
    EXPECT_EQ(event.to_broker().at(0).group, claimed ? kGroup : GroupId());
    (void)rig.broker_says({kRound, kGroup, member(1), event.to_broker().at(0).sequence, Pending{}});
    const Actions answer = rig.release(Phase::prepare);
    EXPECT_EQ(answer.lines(), Lines{"hook 1 < Answer go m1, last"});
    EXPECT_EQ(answer.to_hook(1).at(0).round, kRound);
  }
}

TEST(AHookWithoutNames, GetsNoClaimThatIsMadeForAnotherPod) {
  CoreSettings settings = Rig::settings_of_a_sidecar();
  settings.claim_group = kGroup;
  settings.claim_member = member(1);
  // One whose pod has no agent comes to any there is; at pre-restore nobody may know yet which one it will be.
  for (const PodId& other : {pod(2), PodId{"boot-1", 0}, PodId{"boot-2", pod(1).netns_inode}}) {
    Rig rig(settings);
    (void)rig.join();
    HookEvent event{HookAction::pre_dump, other, 0, 0, 0, "c0ffee", {}, {}};
    Message said = rig.hook_says(1, {{}, {}, {}, 1, event}).to_broker().at(0);
    EXPECT_EQ(said.member, MemberId());
    EXPECT_EQ(said.group, GroupId());
    event.dependencies = {MemberId("c0"), MemberId("c1")};
    said = rig.hook_says(2, {{}, {}, MemberId("c0"), 1, event}).to_broker().at(0);
    EXPECT_EQ(said.member, MemberId("c0"));
    EXPECT_EQ(std::get<HookEvent>(said.body).dependencies, event.dependencies);
  }
}

TEST(ANameThatIsNotLocksteps, StandsBehindTheClaimAndTheBrokersAnswer) {
  CoreSettings settings = Rig::settings_of_a_sidecar();
  settings.claim_group = kGroup;
  settings.claim_member = member(1);
  HookEvent event{HookAction::post_dump, pod(1), 0, 0, 0, "c0ffee", {}, {}};
  event.dependencies = {MemberId("c0"), MemberId("c1")};
  for (const bool claimed : {false, true}) {
    Rig rig(claimed ? settings : Rig::settings_of_a_sidecar());
    (void)rig.join();
    const Message said = rig.hook_says(1, {{}, {}, MemberId("c0"), 1, event}).to_broker().at(0);
    EXPECT_EQ(said.member, claimed ? member(1) : MemberId("c0"));
    EXPECT_EQ(said.group, claimed ? kGroup : GroupId());
    EXPECT_EQ(std::get<HookEvent>(said.body).dependencies.empty(), claimed);
    // The round knows the container under another name: its orders and its record are that one's.
    const Actions bound = rig.broker_says({kRound, kGroup, member(1), said.sequence, Pending{}});
    ASSERT_EQ(bound.to_broker().size(), 1U) << "a vote is asked for only when the hook has its names";
    EXPECT_EQ(bound.to_broker().at(0).member, member(1));
    ASSERT_FALSE(bound.to_hook(1).empty());
    EXPECT_EQ(bound.to_hook(1).at(0).member, member(1));
  }
  Rig rig(settings);
  (void)rig.join();
  const Message recorded = rig.hook_says(1, {{}, GroupId("bank"), MemberId("c0"), 1, event}).to_broker().at(0);
  EXPECT_EQ(recorded.member, MemberId("c0")) << "what the images' record says goes before a claim";
}

TEST(AnUnansweredHook, IsAskedForAgainWithTheSameNumberAndMorePatience) {
  Rig rig;
  (void)rig.join();
  const std::uint64_t number = rig.hook(1, HookAction::pre_dump, 1).to_broker().at(0).sequence;
  for (const int wait : {200, 400, 800, 1'000, 1'000}) {
    EXPECT_EQ(rig.pass(milliseconds(wait - 1)).lines(), Lines{}) << wait;
    const Actions again = rig.pass(milliseconds(1));
    ASSERT_EQ(again.lines(), Lines{"broker < HookEvent pre-dump m1"}) << wait;
    for (const Message& message : again.to_broker()) {
      EXPECT_TRUE(std::holds_alternative<Heartbeat>(message.body) || message.sequence == number);
    }
  }
}

TEST(AWaitingHook, HearsEachSecondThatItsAgentIsAlive) {
  Rig rig;
  (void)rig.join();
  (void)rig.hook(1, HookAction::pre_dump, 1);
  EXPECT_EQ(rig.pass(milliseconds(5'000)).to_hook(1).size(), 5U);
}

TEST(AGapOnPub, MakesTheAgentAskAtOnce) {
  Rig rig;
  (void)rig.join();
  (void)rig.release(Phase::prepare);
  (void)rig.hook(1, HookAction::network_lock, 1);
  const Release news{Operation::dump, Phase::prepare, Verdict::go, {}, {}, false};
  EXPECT_EQ(rig.publish(news).lines(), Lines{});
  EXPECT_EQ(rig.publish(news, {}, 1).lines(), Lines{"broker < HookEvent network-lock m1"});
  EXPECT_EQ(rig.publish(news).lines(), Lines{}) << "once for each gap";
}

TEST(Orders, AreObeyedInTheNetworkAndAnswered) {
  struct Row {
    Phase phase;
    Operation operation;
    Calls calls;
    std::string says;
  };
  for (const Row& row :
       {Row{Phase::prepare, Operation::dump, {"prepare 1001"}, "broker < Ready prepare m1"},
        Row{Phase::lock, Operation::dump, {"prepare 1001", "arm 1001 15000", "addresses 1001", "sockets 1001", "nat 1001"},
            "broker < Ready lock m1"},
        Row{Phase::lock, Operation::restore, {"prepare 1001", "arm 1001 15000", "addresses 1001"}, "broker < Ready lock m1"},
        Row{Phase::prepare, Operation::restore, {"prepare 1001", "check 1001"}, "broker < Ready prepare m1"},
        Row{Phase::commit, Operation::restore, {"sockets 1001"}, "broker < Ready commit m1"},
        Row{Phase::commit, Operation::dump, {}, "broker < Ready commit no m1"},
        Row{Phase::unlock, Operation::dump, {}, "broker < Ready unlock m1"},
        Row{Phase::resume, Operation::restore, {}, "broker < Ready resume m1"}}) {
    Rig rig;
    (void)rig.join();
    EXPECT_EQ(rig.order(row.phase, 1, row.operation).lines(), Lines{row.says});
    EXPECT_EQ(rig.network.take_calls(), row.calls) << row.says;
  }
}

TEST(Orders, ThatFailAreAnsweredWithTheReason) {
  for (const auto& [step, phase] : std::vector<std::pair<std::string, Phase>>{
           {"prepare", Phase::prepare}, {"arm", Phase::lock}, {"addresses", Phase::lock}, {"sockets", Phase::lock}}) {
    Rig rig;
    (void)rig.join();
    rig.network.broken = {step};
    const Actions said = rig.order(phase, 1);
    const auto ready = std::get<Ready>(said.to_broker().at(0).body);
    EXPECT_FALSE(ready.ok) << step;
    EXPECT_NE(ready.reason.find("out of order"), std::string::npos) << step;
    (void)rig.round_ends(Verdict::abort);
    EXPECT_TRUE(rig.network.locked.empty()) << step;
  }
}

TEST(TheLock, TellsTheMembersOwnSocketsAndItsAddresses) {
  Rig rig;
  (void)rig.join();
  const Actions said = rig.order(Phase::lock, 2);
  const auto ready = std::get<Ready>(said.to_broker().at(0).body);
  ASSERT_EQ(ready.sockets.size(), 2U);
  EXPECT_EQ(ready.sockets[0].inode, 21U);
  EXPECT_EQ(ready.addresses.size(), 1U);
}

TEST(TheLock, TellsWhatTranslatesItsConnections) {
  Rig rig;
  (void)rig.join();
  rig.network.nat = {NatEntry{}};
  const Actions said = rig.order(Phase::lock, 1);
  EXPECT_EQ(std::get<Ready>(said.to_broker().at(0).body).nat, rig.network.nat);
}

TEST(TheLock, HoldsWithoutKnowingWhatIsTranslated) {
  Rig rig;
  (void)rig.join();
  rig.network.broken = {"nat"};
  const Actions said = rig.order(Phase::lock, 1);
  const auto ready = std::get<Ready>(said.to_broker().at(0).body);
  EXPECT_TRUE(ready.ok) << ready.reason;
  EXPECT_EQ(ready.sockets.size(), 2U);
  ASSERT_EQ(ready.notes.size(), 1U);
  EXPECT_NE(ready.notes[0].find("out of order"), std::string::npos) << ready.notes[0];
}

TEST(TheLock, TellsOfTranslationsWhatFitsIntoAMessage) {
  Rig rig;
  (void)rig.join();
  rig.network.nat.resize(kMaxSockets + 5);
  const Actions said = rig.order(Phase::lock, 1);
  const auto ready = std::get<Ready>(said.to_broker().at(0).body);
  EXPECT_TRUE(ready.ok);
  EXPECT_EQ(ready.nat.size(), kMaxSockets);
  ASSERT_EQ(ready.notes.size(), 1U);
  EXPECT_EQ(ready.notes[0].find("5 "), 0U) << ready.notes[0];
}

TEST(ARepeatedOrder, IsAnsweredAgainAndChangesNothing) {
  Rig rig;
  (void)rig.join();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.order(Phase::lock, 1).lines(), Lines{"broker < Ready lock m1"});
  EXPECT_EQ(std::ranges::count(rig.network.calls, "arm 1001 15000"), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.order(Phase::unlock, 1).lines(), Lines{"broker < Ready unlock m1"});
  EXPECT_EQ(std::ranges::count(rig.network.calls, "disarm 1001"), 1);
}

TEST(TwoMembersOfOnePod, LockItOnceAndTheLastOneUnlocks) {
  Rig rig;
  (void)rig.join();
  const auto order = [&](Phase phase, int number) {
    return rig.broker_says({kRound, kGroup, member(number), 0,
                            Order{phase, Operation::dump, pod(1), 0, {}, 15'000, {}, {}}});
  };
  (void)order(Phase::lock, 1);
  (void)order(Phase::lock, 2);
  (void)order(Phase::unlock, 1);
  EXPECT_EQ(rig.network.locked.size(), 1U);
  (void)order(Phase::unlock, 2);
  EXPECT_EQ(rig.network.locked.size(), 0U);
}

TEST(TheCommit, IsStoredByTheHookAndThenVotedFor) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{"hook 1 < Store m1"});
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{}) << "it is being written";
  EXPECT_EQ(rig.hook_says(1, {{}, {}, {}, 1, Stored{true, {}}}).lines(), Lines{"broker < Ready commit m1"});
  EXPECT_EQ(rig.order(Phase::commit, 1).lines(), Lines{"broker < Ready commit m1"}) << "the vote was lost";
  EXPECT_EQ(rig.release(Phase::commit).lines(), Lines{"hook 1 < Answer go m1, last"});
}

TEST(ARecordThatIsNotWritten, IsAVoteOfNo) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  (void)rig.order(Phase::commit, 1);
  const Actions failed = rig.hook_says(1, {{}, {}, {}, 1, Stored{false, "disk full"}});
  EXPECT_EQ(std::get<Ready>(failed.to_broker().at(0).body).reason, "record not written: disk full");
  Rig slow;
  (void)slow.join();
  slow.lock(1);
  (void)slow.hook(1, HookAction::post_dump, 1);
  (void)slow.order(Phase::commit, 1);
  const Lines lines = slow.pass(milliseconds(30'000)).lines();
  EXPECT_EQ(std::ranges::count(lines, "broker < Ready commit no m1"), 1);
}

TEST(AKilledHook, IsReportedOnce) {
  Rig rig;
  (void)rig.join();
  (void)rig.hook(1, HookAction::network_lock, 1);
  EXPECT_EQ(rig.closed(1).lines(), Lines{"broker < HookGone network-lock m1"});
  EXPECT_EQ(rig.closed(1).lines(), Lines{});
  EXPECT_EQ(rig.closed(99).lines(), Lines{});
}

TEST(AKilledHook, EndsNothingForTheOneThatHasReplacedIt) {
  Rig rig;
  (void)rig.join();
  (void)rig.hook(1, HookAction::pre_dump, 1);
  (void)rig.hook(2, HookAction::pre_dump, 2);
  (void)rig.hook(3, HookAction::pre_dump, 1);
  EXPECT_EQ(rig.closed(1).lines(), Lines{}) << "the member's next CRIU waits";
  EXPECT_EQ(rig.closed(2).lines(), Lines{"broker < HookGone pre-dump m2"});
  EXPECT_EQ(rig.closed(3).lines(), Lines{"broker < HookGone pre-dump m1"});
}

TEST(ACriu, IsWatchedFromItsFirstHookOn) {
  Rig rig;
  (void)rig.join();
  const Actions first = rig.hook(1, HookAction::pre_dump, 1);
  const auto watch = std::ranges::find_if(first.all, [](const Action& action) {
    return std::holds_alternative<WatchCriu>(action);
  });
  ASSERT_NE(watch, first.all.end());
  EXPECT_EQ(std::get<WatchCriu>(*watch).pid, 77);
  EXPECT_EQ(std::get<WatchCriu>(*watch).start, 5U);
  EXPECT_EQ(rig.criu_gone(77, 5).lines(), Lines{"broker < CriuGone"});
}

TEST(GarbageOfAHook, EndsThatHookAndNothingElse) {
  const std::vector<Body> bodies{Hello{}, Release{}, Order{}, Ready{}, Stored{}, Answer{}, OpenRound{}, Alive{}};
  for (const Body& body : bodies) {
    Rig rig;
    (void)rig.join();
    rig.lock(1);
    EXPECT_EQ(rig.hook_says(5, {{}, {}, {}, 1, body}).lines(), Lines{"hook 5 < Answer abort, last"});
    (void)rig.hook(1, HookAction::post_dump, 1);
    EXPECT_EQ(rig.hook_says(1, {kRound, {}, member(1), 1, body}).lines(),
              (Lines{"hook 1 < Answer abort m1, last", "broker < HookGone post-dump m1"}));
    EXPECT_EQ(rig.network.locked.size(), 1U);
  }
}

TEST(TheEndOfARound, OpensItsPodsAndAnswersItsHooks) {
  for (const Verdict verdict : {Verdict::go, Verdict::abort}) {
    Rig rig;
    (void)rig.join();
    rig.lock(1);
    rig.lock(2);
    (void)rig.hook(1, HookAction::post_dump, 1);
    const Actions end = rig.round_ends(verdict, "why");
    EXPECT_EQ(end.lines(), Lines{"hook 1 < Answer " + std::string(to_string(verdict)) + " m1, last"});
    EXPECT_EQ(std::get<Answer>(end.to_hook(1).at(0).body).reason, "why");
    EXPECT_TRUE(rig.network.locked.empty());
    EXPECT_EQ(rig.round_ends(verdict).lines(), Lines{});
  }
}

TEST(AHookWithoutNames, IsToldThemBeforeItsVoteCanBeOut) {
  Rig rig;
  (void)rig.join();
  const Actions event = rig.hook_says(1, {{}, {}, {}, 1, HookEvent{HookAction::post_dump, pod(1), 77, 5, 201, "c1", {}, {}}});
  const std::uint64_t number = event.to_broker().at(0).sequence;
  const Actions bound = rig.broker_says({kRound, kGroup, member(1), number, Pending{}});
  EXPECT_EQ(bound.lines(), Lines{"broker < HookEvent post-dump m1"}) << "said again with them";
  const auto told = bound.to_hook(1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Alive>(told[0].body));
  EXPECT_EQ(told[0].round, kRound);
  EXPECT_EQ(told[0].member, member(1));
  EXPECT_TRUE(rig.broker_says({kRound, kGroup, member(1), number, Pending{}}).to_hook(1).empty()) << "once";
}

TEST(ShuttingDown, AbortsEveryHookAndLeavesUndecidedPodsToTheirLease) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  (void)rig.hook(1, HookAction::post_dump, 1);
  (void)rig.hook(2, HookAction::pre_dump, 2);
  EXPECT_EQ(rig.shut_down().lines(),
            (Lines{"hook 1 < Answer abort m1, last", "hook 2 < Answer abort m2, last", "broker < Ready lock no m1"}));
  EXPECT_EQ(rig.network.locked.size(), 1U) << "the broker may be deciding to commit";
}

TEST(ShuttingDown, OpensThePodsOfACommittedRestore) {
  Rig rig;
  (void)rig.join();
  for (const Phase phase : {Phase::prepare, Phase::lock, Phase::commit}) (void)rig.order(phase, 1, Operation::restore);
  (void)rig.release(Phase::commit, Operation::restore);
  EXPECT_EQ(rig.shut_down().lines(), Lines{});
  EXPECT_TRUE(rig.network.locked.empty());
}

TEST(ShuttingDown, LeavesAPodLockedWhoseDumpedTasksMayStillBeThere) {
  Rig rig;
  (void)rig.join();
  rig.lock(1);
  rig.vote(1, 1);
  (void)rig.release(Phase::commit);
  EXPECT_EQ(rig.shut_down().lines(), Lines{});
  EXPECT_EQ(rig.network.locked.size(), 1U) << "a successor waits for them, or the lease ends it";
}

}  // namespace
}  // namespace lockstep::agent::test
