/// Runtimes that go one by one: the barriers count pods, who has others of its pod behind it goes early, and the round
/// ends as one.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "broker/core/memory_journal.hpp"
#include "tests/unit/broker/serial_rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

TEST(Serial, ADumpGoesByPods) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  EXPECT_TRUE(serial.rig.status().serial);
  EXPECT_EQ(serial.arrive(1, kPreparePhase).lines(), Lines{"a1 < Order prepare m1"});
  EXPECT_EQ(serial.ready(1, kPreparePhase).lines(), Lines{});
  (void)serial.arrive(3, kPreparePhase);
  EXPECT_EQ(serial.ready(3, kPreparePhase).lines(),
            (Lines{"a1 < Release prepare go m1", "a2 < Release prepare go m3"}));
  EXPECT_EQ(serial.pass(1, kLockPhase).lines(), Lines{});
  EXPECT_EQ(serial.pass(3, kLockPhase).lines(), (Lines{"a1 < Release lock go m1", "a2 < Release lock go m3"}));

  EXPECT_EQ(serial.arrive(3, kCommitPhase).lines(), Lines{"a2 < Pending commit m3"}) << "not all tables have come";
  EXPECT_EQ(serial.arrive(1, kCommitPhase).lines(), Lines{"a1 < Order commit m1"});
  EXPECT_EQ(serial.ready(1, kCommitPhase).lines(), Lines{"a1 < Release commit go early m1"});
  EXPECT_EQ(serial.arrive(1, kUnlockPhase).lines(), Lines{"a1 < Release unlock go early m1"});
  EXPECT_EQ(serial.rig.say(kClient, 1, MemberResult{true, {}}).lines(), Lines{"cli < RoundStatus m1"});
  EXPECT_EQ(serial.rig.status().state, RoundState::open);

  EXPECT_EQ(serial.arrive(2, kPreparePhase).lines(), Lines{"a1 < Release prepare go m2"});
  EXPECT_EQ(serial.arrive(2, kLockPhase).lines(), Lines{"a1 < Order lock m2"});
  EXPECT_EQ(serial.ready(2, kLockPhase).lines(), (Lines{"a1 < Release lock go m2", "a2 < Order commit m3"}));
  EXPECT_EQ(serial.ready(3, kCommitPhase).lines(), Lines{});
  EXPECT_EQ(serial.arrive(2, kCommitPhase).lines(), Lines{"a1 < Order commit m2"});
  EXPECT_EQ(serial.ready(2, kCommitPhase).lines(), Lines{"PUB Release commit go"});
  EXPECT_EQ(serial.rig.status().state, RoundState::committed);

  EXPECT_EQ(serial.arrive(3, kUnlockPhase).lines(), Lines{"a2 < Order unlock m3"});
  EXPECT_EQ(serial.ready(3, kUnlockPhase).lines(), Lines{});
  EXPECT_EQ(serial.arrive(2, kUnlockPhase).lines(), (Lines{"a1 < Order unlock m1", "a1 < Order unlock m2"}));
  EXPECT_EQ(serial.ready(2, kUnlockPhase).lines(), Lines{});
  EXPECT_EQ(serial.arrive(2, kUnlockPhase).lines(), (Lines{"a1 < Order unlock m1", "a1 < Pending unlock m2"}))
      << "an order that got lost is given again";
  EXPECT_EQ(serial.ready(1, kUnlockPhase).lines(), Lines{"PUB Release unlock go over"});
  EXPECT_EQ(serial.rig.status().state, RoundState::complete);
  EXPECT_EQ(serial.rig.status().reason, "");
}

TEST(Serial, WhoAsksAgainHearsTheSame) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  serial.walk_to_early();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(serial.arrive(1, kPreparePhase).lines(), Lines{"a1 < Release prepare go m1"});
    EXPECT_EQ(serial.arrive(1, kLockPhase).lines(), Lines{"a1 < Release lock go m1"});
    EXPECT_EQ(serial.arrive(1, kCommitPhase).lines(), Lines{"a1 < Release commit go early m1"});
    EXPECT_EQ(serial.ready(1, kCommitPhase).lines(), Lines{"a1 < Release commit go early m1"});
    EXPECT_EQ(serial.arrive(1, kUnlockPhase).lines(), Lines{"a1 < Release unlock go early m1"});
    EXPECT_EQ(serial.arrive(2, kPreparePhase).lines(), Lines{"a1 < Release prepare go m2"});
  }
  EXPECT_EQ(serial.rig.status().state, RoundState::open);
}

TEST(Serial, MembersOfAPodThatAllCameWaitForOneAnother) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  for (const int number : {1, 2}) (void)serial.pass(number, kPreparePhase);
  (void)serial.pass(3, kPreparePhase);
  for (const int number : {1, 3}) (void)serial.pass(number, kLockPhase);
  EXPECT_EQ(serial.arrive(1, kCommitPhase).lines(), Lines{"a1 < Pending commit m1"});
  EXPECT_EQ(serial.arrive(2, kLockPhase).lines(), Lines{"a1 < Order lock m2"});
  EXPECT_EQ(serial.ready(2, kLockPhase).lines(), (Lines{"a1 < Release lock go m2", "a1 < Order commit m1"}));
}

struct News {
  const char* name;
  std::function<void(SerialRig&)> happens;
  bool aborts;
};

TEST(Serial, WhatBecomesOfOneThatWentEarly) {
  const std::vector<News> all{
      {"its CRIU ends",
       [](SerialRig& s) {
         (void)s.arrive(1, kUnlockPhase);
         (void)s.rig.say(agent(1), 0, CriuGone{101, 5});
       },
       false},
      {"its CRIU is killed before it lets the tasks run",
       [](SerialRig& s) {
         (void)s.rig.say(agent(1), 0, CriuGone{101, 5});
       },
       true},
      {"its CRIU succeeds",
       [](SerialRig& s) {
         (void)s.rig.say(kClient, 1, MemberResult{true, {}});
       },
       false},
      {"its CRIU fails",
       [](SerialRig& s) {
         (void)s.rig.say(kClient, 1, MemberResult{false, "no space"});
       },
       true},
      {"its last hook dies", [](SerialRig& s) { (void)s.rig.say(agent(1), 1, HookGone{HookAction::network_unlock}); },
       false},
      {"its vote's hook dies unheard",
       [](SerialRig& s) { (void)s.rig.say(agent(1), 1, HookGone{HookAction::post_dump}); }, true},
      {"its agent is lost", [](SerialRig& s) { (void)s.rig.lose(agent(1)); }, true},
      {"its lock is lost",
       [](SerialRig& s) {
         (void)s.rig.say(agent(1), 1, Ready{Phase::lock, false, "ran out", {}, {}});
       },
       true},
      {"its agent was restarted",
       [](SerialRig& s) {
         (void)s.rig.hello(PeerId("new"),
                           {Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {kRound}, {kRound}});
       },
       true},
      {"a second CRIU comes for it",
       [](SerialRig& s) {
         HookEvent event = hook(HookAction::pre_dump, 1);
         event.pod = pod(1);
         event.criu_pid = 999;
         (void)s.rig.say(agent(1), 1, event);
       },
       true},
      {"the next one's dump fails", [](SerialRig& s) { (void)s.arrive(2, kUnlockPhase); }, true},
      {"the next one's CRIU ends",
       [](SerialRig& s) {
         (void)s.rig.say(kClient, 2, MemberResult{true, {}});
       },
       true},
      {"the operator has enough", [](SerialRig& s) { (void)s.rig.ask(AbortRound{"enough"}); }, true},
  };
  for (const News& news : all) {
    SerialRig serial;
    (void)serial.rig.open(SerialRig::serial_plan());
    serial.walk_to_early();
    news.happens(serial);
    EXPECT_EQ(serial.rig.status().state, news.aborts ? RoundState::aborted : RoundState::open)
        << news.name << ": " << serial.rig.status().reason;
  }
}

TEST(Serial, ARelayOfOneThatWentEarlyIsNotMissed) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  for (const std::size_t phase : {kPreparePhase, kLockPhase}) {
    for (const int number : {1, 3}) (void)serial.pass(number, phase);
  }
  const PeerId relay("relay");
  (void)serial.rig.hello(relay, {Role::relay, "relay", "boot-1", {}, false, {}});
  HookEvent event = hook(HookAction::post_dump, 1);
  event.pod = pod(1);
  EXPECT_EQ(serial.rig.say(relay, 1, event).lines(), Lines{"relay < Order commit m1"});
  EXPECT_EQ(serial.rig.say(relay, 1, Ready{Phase::commit, true, {}, {}, {}}).lines(),
            Lines{"relay < Release commit go early m1"});
  (void)serial.rig.lose(relay);
  EXPECT_EQ(serial.rig.status().state, RoundState::open);
}

TEST(Serial, AHookOfALateMemberThatDiesAborts) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  serial.walk_to_early();
  (void)serial.arrive(2, kPreparePhase);
  (void)serial.arrive(2, kLockPhase);
  (void)serial.rig.say(agent(1), 2, HookGone{HookAction::network_lock});
  EXPECT_EQ(serial.rig.status().state, RoundState::aborted);
  EXPECT_EQ(serial.rig.status().culprit, member(2));
}

TEST(Serial, ALateMemberOfAnUnlockedPodIsRefused) {
  SerialRig serial;
  OpenRound open = SerialRig::serial_plan();
  open.members[1].pod = {};
  open.members[0].pod_uid = open.members[1].pod_uid = "uid-1";
  (void)serial.rig.open(open);
  serial.walk_to_early();
  HookEvent event = hook(HookAction::pre_dump, 2);
  event.pod = pod(3);
  (void)serial.rig.say(agent(1), 2, event);
  EXPECT_EQ(serial.rig.status().state, RoundState::aborted);
  EXPECT_NE(serial.rig.status().reason.find("none that is locked"), std::string::npos) << serial.rig.status().reason;
}

TEST(Serial, HooksOutOfOrderAbort) {
  for (const std::size_t phase : {kLockPhase, kCommitPhase}) {
    SerialRig serial;
    (void)serial.rig.open(SerialRig::serial_plan());
    serial.walk_to_early();
    (void)serial.arrive(2, phase);
    EXPECT_EQ(serial.rig.status().state, RoundState::aborted) << phase;
  }
}

TEST(Serial, PodsOfOneUidCountAsOne) {
  SerialRig serial;
  OpenRound open = SerialRig::serial_plan();
  for (RoundMember& each : open.members) each.pod = {};
  open.members[0].pod_uid = open.members[1].pod_uid = "uid-1";
  open.members[2].pod_uid = "uid-2";
  (void)serial.rig.open(open);
  serial.walk_to_votes();
  (void)serial.ready(2, kCommitPhase);
  (void)serial.ready(3, kCommitPhase);
  EXPECT_EQ(serial.rig.status().state, RoundState::committed) << serial.rig.status().reason;
}

TEST(Serial, WhoIsInAnUnknownPodIsWaitedFor) {
  SerialRig serial;
  OpenRound open = SerialRig::serial_plan();
  for (RoundMember& each : open.members) each.pod = {};
  (void)serial.rig.open(open);
  for (const int number : {1, 3}) EXPECT_EQ(serial.pass(number, kPreparePhase).lines(), Lines{});
  EXPECT_EQ(serial.pass(2, kPreparePhase).lines().size(), 3U);
}

TEST(Serial, TheNextMemberHasToComeInTime) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  serial.walk_to_early();
  (void)serial.rig.pass(milliseconds(6'000), 2);
  (void)serial.arrive(1, kUnlockPhase);
  (void)serial.rig.pass(milliseconds(6'000), 2);
  (void)serial.rig.say(kClient, 1, MemberResult{true, {}});
  (void)serial.rig.pass(milliseconds(9'000), 2);
  EXPECT_EQ(serial.rig.status().state, RoundState::open);
  (void)serial.rig.pass(milliseconds(2'000), 2);
  EXPECT_EQ(serial.rig.status().state, RoundState::aborted);
  EXPECT_NE(serial.rig.status().reason.find("the next container of a pod has not come within 10000 ms"),
            std::string::npos)
      << serial.rig.status().reason;
}

TEST(Serial, WhoTakesLongForItsDumpIsNotMissed) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  for (const std::size_t phase : {kPreparePhase, kLockPhase}) {
    for (const int number : {1, 3}) (void)serial.pass(number, phase);
  }
  (void)serial.rig.pass(milliseconds(60'000), 2);
  EXPECT_EQ(serial.rig.status().state, RoundState::open) << "the limit is the commit's";
}

TEST(Serial, AfterTheCommitTheLastOnesCriuOpensThePod) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  serial.walk_to_votes();
  (void)serial.ready(2, kCommitPhase);
  (void)serial.ready(3, kCommitPhase);
  EXPECT_EQ(serial.rig.say(kClient, 1, MemberResult{true, {}}).lines(), Lines{"cli < RoundStatus m1"});
  EXPECT_EQ(serial.rig.say(kClient, 2, MemberResult{true, {}}).lines(),
            (Lines{"a1 < Order unlock m1", "a1 < Order unlock m2", "cli < RoundStatus m2"}));
}

TEST(Serial, ABrokerThatComesBackOpensThePodsWithTheFirst) {
  MemoryJournal journal;
  {
    SerialRig former(&journal);
    (void)former.rig.open(SerialRig::serial_plan());
    former.walk_to_votes();
    (void)former.ready(2, kCommitPhase);
    (void)former.ready(3, kCommitPhase);
  }
  SerialRig serial(&journal);
  EXPECT_EQ(serial.arrive(2, kUnlockPhase).lines(), (Lines{"a1 < Order unlock m1", "a1 < Order unlock m2"}));
  for (const int number : {1, 2}) (void)serial.ready(number, kUnlockPhase);
  EXPECT_EQ(serial.pass(3, kUnlockPhase).lines(), Lines{"PUB Release unlock go over"});
}

// --- whether it is one ----------------------------------------------------------------------------------------------

TEST(OneByOne, IsSeenWhenNobodyNewComes) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan(MemberOrder::detect));
  (void)serial.pass(1, kPreparePhase);
  (void)serial.rig.pass(milliseconds(3'000), 2);
  EXPECT_FALSE(serial.rig.status().serial) << "a pod of which nobody has come";
  (void)serial.pass(3, kPreparePhase);
  (void)serial.rig.pass(milliseconds(1'900), 2);
  EXPECT_FALSE(serial.rig.status().serial);
  const Actions turn = serial.rig.pass(milliseconds(200), 2);
  EXPECT_TRUE(serial.rig.status().serial);
  EXPECT_NE(turn.log().find("the containers of a pod come one after another"), std::string::npos) << turn.log();
  EXPECT_EQ(turn.published(kStatusTopic).size(), 1U) << "whoever watches sees it";
  EXPECT_EQ(turn.lines(), (Lines{"a1 < Release prepare go m1", "a2 < Release prepare go m3"}));
  serial.walk_to_votes();
  (void)serial.ready(2, kCommitPhase);
  (void)serial.ready(3, kCommitPhase);
  EXPECT_EQ(serial.rig.status().state, RoundState::committed) << serial.rig.status().reason;
}

TEST(OneByOne, IsSeenAfterHalfOfAShortDeadline) {
  SerialRig serial;
  OpenRound open = SerialRig::serial_plan(MemberOrder::detect);
  open.deadlines.prepare_ms = 1'000;
  (void)serial.rig.open(open);
  for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
  (void)serial.rig.pass(milliseconds(600), 2);
  EXPECT_TRUE(serial.rig.status().serial);
}

TEST(OneByOne, IsNotSeenWhereItCanNotBe) {
  const auto reason_of = [](const std::function<void(OpenRound&)>& change) {
    SerialRig serial;
    OpenRound open = SerialRig::serial_plan(MemberOrder::detect);
    change(open);
    (void)serial.rig.open(open);
    for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
    (void)serial.rig.pass(milliseconds(10'000), 2);
    EXPECT_FALSE(serial.rig.status().serial);
    EXPECT_EQ(serial.rig.status().state, RoundState::aborted);
    return serial.rig.status().reason;
  };
  const auto kills = reason_of([](OpenRound& open) { open.leave_running = false; });
  EXPECT_NE(kills.find("one after another, which works only when they are left running"), std::string::npos) << kills;
  const auto busy = reason_of([](OpenRound& open) { open.members[2].frozen_commands = true; });
  EXPECT_NE(busy.find("only without commands at the frozen point"), std::string::npos) << busy;
  const auto parallel = reason_of([](OpenRound& open) { open.order = MemberOrder::parallel; });
  EXPECT_NE(parallel.find("with `order: serial`"), std::string::npos) << parallel;
}

TEST(OneByOne, IsNotSeenWhereAllCome) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan(MemberOrder::detect));
  for (const int number : {1, 3, 2}) {
    (void)serial.pass(number, kPreparePhase);
    (void)serial.rig.pass(milliseconds(1'500), 2);
  }
  EXPECT_FALSE(serial.rig.status().serial);
  EXPECT_EQ(serial.rig.status().phase, Phase::lock);
}

TEST(OneByOne, IsNotSeenWhereAnAgentIsSlow) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan(MemberOrder::detect));
  for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
  (void)serial.arrive(2, kPreparePhase);
  (void)serial.rig.pass(milliseconds(5'000), 2);
  EXPECT_FALSE(serial.rig.status().serial);
  EXPECT_EQ(serial.ready(2, kPreparePhase).lines(), Lines{"PUB Release prepare go"});
}

TEST(Serial, AnOrderThatIsDoneAfterItsBarrierOpensThatOneAlone) {
  SerialRig serial;
  (void)serial.rig.open(SerialRig::serial_plan());
  EXPECT_EQ(serial.arrive(2, kPreparePhase).lines(), Lines{"a1 < Order prepare m2"});
  for (const int number : {1, 3}) (void)serial.pass(number, kPreparePhase);
  EXPECT_EQ(serial.ready(2, kPreparePhase).lines(), Lines{"a1 < Release prepare go m2"});
}

TEST(OneByOne, IsRefusedWhereItCanNotBe) {
  const auto refusal_of = [](const std::function<void(OpenRound&)>& change) {
    OpenRound open = SerialRig::serial_plan();
    change(open);
    return check_plan(open).value_or("");
  };
  EXPECT_EQ(refusal_of([](OpenRound&) {}), "");
  EXPECT_NE(refusal_of([](OpenRound& open) { open.leave_running = false; }).find("--leave-running"), std::string::npos);
  EXPECT_NE(refusal_of([](OpenRound& open) { open.operation = Operation::restore; }).find("leave `order` out"),
            std::string::npos);
  EXPECT_NE(refusal_of([](OpenRound& open) { open.members[1].frozen_commands = true; }).find("member m2 has commands"),
            std::string::npos);
}

}  // namespace
}  // namespace lockstep::broker::test
