/// Rounds that no client opens: by a standing group's first hook, or by hooks that name each other.
#include <gtest/gtest.h>

#include "schemas/codec.hpp"
#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

const std::string kPodOfThree = "01234567-89ab-cdef-0123-456789abcdef";

/// shop: m1 by name alone, m2 by its container, m3 by its pod.
StandingGroups shop() {
  StandingGroup group{kGroup, {}};
  for (int i = 1; i <= 3; ++i) group.plan.members.emplace_back().id = member(i);
  group.plan.members[1].container = "c2";
  group.plan.members[2].pod_uid = kPodOfThree;
  group.plan.deadlines.prepare_ms = 2'000;
  return StandingGroups({group});
}

class Outside : public ::testing::Test {
 protected:
  Outside() {
    rig_.core().set_standing_groups(shop());
    rig_.everybody_says_hello(3);
  }

  /// A hook as it comes from CRIU, with what each of the three has to show.
  [[nodiscard]] static Message come(HookAction action, int number, int criu = 0) {
    HookEvent event = hook(action, number);
    event.criu_pid += criu;
    if (number == 2) event.container = "c2" + std::string(62, '0');
    if (number == 3) event.container = std::string(64, 'd');
    if (number == 3) event.pod_uid = kPodOfThree;
    if (action == HookAction::pre_restore) event.record.bytes = encode_record(record(number, 3));
    return Message{{}, number == 1 ? kGroup : GroupId(), number == 1 ? member(1) : MemberId(), 9, std::move(event)};
  }
  [[nodiscard]] static std::string reason_for(const Actions& actions, int number) {
    for (const Message& message : actions.sent_to(agent(number))) {
      const auto* release = std::get_if<Release>(&message.body);
      if (release != nullptr && release->verdict == Verdict::abort) return release->reason;
    }
    return {};
  }
  [[nodiscard]] RoundSummary newest() {
    const auto rounds = rig_.broker().rounds;
    return rounds.empty() ? RoundSummary{} : rounds[0];
  }
  /// Its agent has been told the names, and says it again with them.
  void arrive(int number, Message event) {
    (void)rig_.say(agent(number), event);
    event.round = newest().id;
    event.group = newest().group;
    event.member = member(number);
    (void)rig_.say(agent(number), event);
  }
  Actions ready(int number, Phase phase) {
    return rig_.say(agent(number), Message{newest().id, {}, member(number), 8, Ready{phase, true, {}, {}, {}}});
  }

  Rig rig_{CoreSettings{.name = "broker-1", .own_rounds = "hook-x"}};
};

TEST_F(Outside, OneByOneIsAWordAboutDumpsAndRefusesNoRestore) {
  StandingGroup group{kGroup, {}};
  for (int i = 1; i <= 3; ++i) group.plan.members.emplace_back().id = member(i);
  group.plan.leave_running = true;
  group.plan.order = MemberOrder::serial;
  rig_.core().set_standing_groups(StandingGroups({group}));
  arrive(1, come(HookAction::pre_restore, 1));
  EXPECT_EQ(newest().operation, Operation::restore);
  EXPECT_EQ(newest().state, RoundState::open);
  EXPECT_FALSE(rig_.status(newest().id).serial);
}

TEST_F(Outside, TheFirstPreDumpOpensTheRoundAndTheLastReadyMemberItsBarriers) {
  const Actions first = rig_.say(agent(2), come(HookAction::pre_dump, 2));
  EXPECT_EQ(first.lines(), (Lines{"a2 < Pending prepare m2", "a2 < Order prepare m2"}));
  EXPECT_EQ(first.sent_to(agent(2))[0].round, RoundId("hook-x-1"));
  EXPECT_EQ(first.sent_to(agent(2))[0].group, kGroup);
  EXPECT_NE(first.log().find("round hook-x-1 opened by pre-dump of member m2: dump of group shop, 3 members"),
            std::string::npos)
      << first.log();
  for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
    for (int i = 1; i <= 3; ++i) arrive(i, come(action_of(Operation::dump, phase), i));
    EXPECT_EQ(ready(1, kDumpPhases[phase]).lines(), Lines{});
    EXPECT_EQ(ready(2, kDumpPhases[phase]).lines(), Lines{});
    EXPECT_EQ(ready(3, kDumpPhases[phase]).published(kReleaseTopic).size(), 1U) << phase;
  }
  EXPECT_EQ(newest().state, RoundState::complete);
  EXPECT_EQ(newest().reason, "");
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 1U);
}

TEST_F(Outside, ADumpThatKillsEndsWithTheSocketsOfTheLast) {
  for (std::size_t phase = 0; phase < 3; ++phase) {
    for (int i = 1; i <= 3; ++i) arrive(i, come(action_of(Operation::dump, phase), i));
    for (int i = 1; i <= 3; ++i) (void)ready(i, kDumpPhases[phase]);
  }
  EXPECT_EQ(newest().state, RoundState::committed);
  for (int i = 1; i <= 3; ++i) (void)ready(i, Phase::unlock);
  EXPECT_EQ(newest().state, RoundState::complete);
  EXPECT_EQ(newest().reason, "");
}

TEST_F(Outside, ARestoreIsOpenedByItsRecord) {
  for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
    for (int i = 1; i <= 3; ++i) {
      Message event = come(action_of(Operation::restore, phase), i);
      event.group = kGroup;  // the record says so
      event.member = member(i);
      arrive(i, event);
    }
    for (int i = 1; i <= 3; ++i) (void)ready(i, kRestorePhases[phase]);
  }
  EXPECT_EQ(newest().operation, Operation::restore);
  EXPECT_EQ(newest().state, RoundState::complete);
}

TEST_F(Outside, ASerialGroupIsDumpedOneByOneAndRestoredAtOnce) {
  StandingGroup group{kGroup, {}};
  for (int i = 1; i <= 3; ++i) group.plan.members.emplace_back().id = member(i);
  group.plan.order = MemberOrder::serial;
  group.plan.leave_running = true;
  rig_.core().set_standing_groups(StandingGroups({group}));
  const Actions dump = rig_.say(agent(1), come(HookAction::pre_dump, 1));
  EXPECT_EQ(dump.lines().at(1), "a1 < Order prepare m1");
  EXPECT_TRUE(rig_.status(newest().id).serial);
  (void)rig_.say(kClient, Message{newest().id, {}, {}, 3, AbortRound{}});
  Message restore = come(HookAction::pre_restore, 1);
  (void)rig_.say(agent(1), restore);
  EXPECT_EQ(newest().operation, Operation::restore);
  EXPECT_EQ(newest().state, RoundState::open) << newest().reason;
  EXPECT_FALSE(rig_.status(newest().id).serial);
}

TEST_F(Outside, TheJournalKnowsTheRound) {
  MemoryJournal journal;
  {
    Rig rig(journal, {.name = "b", .own_rounds = "hook-x"});
    rig.core().set_standing_groups(shop());
    rig.everybody_says_hello(3);
    (void)rig.say(agent(1), come(HookAction::pre_dump, 1));
  }
  Rig next(journal, {.name = "c", .own_rounds = "hook-y"});
  EXPECT_NE(next.recovered().log().find("hook-x-1"), std::string::npos) << next.recovered().log();
}

TEST_F(Outside, WhoDoesNotComeAbortsItByName) {
  (void)rig_.say(agent(1), come(HookAction::pre_dump, 1));
  (void)ready(1, Phase::prepare);
  const Actions late = rig_.pass(milliseconds(2'100), 3);
  EXPECT_NE(newest().reason.find("waiting for m2 (its hook has not come), m3 (its hook has not come)"),
            std::string::npos)
      << newest().reason;
  EXPECT_EQ(newest().state, RoundState::aborted);
  EXPECT_EQ(late.published(kReleaseTopic).size(), 1U);
}

TEST_F(Outside, ATryAfterAnAbortOpensANewRound) {
  (void)rig_.say(agent(1), come(HookAction::pre_dump, 1));
  (void)rig_.pass(milliseconds(2'100), 3);
  ASSERT_EQ(newest().state, RoundState::aborted);
  // The same CRIU once more: it has not heard that its round is over.
  EXPECT_EQ(reason_for(rig_.say(agent(1), come(HookAction::pre_dump, 1)), 1), newest().reason);
  EXPECT_EQ(newest().id, RoundId("hook-x-1"));
  EXPECT_EQ(rig_.say(agent(1), come(HookAction::pre_dump, 1, 1000)).lines().back(), "a1 < Order prepare m1");
  EXPECT_EQ(newest().id, RoundId("hook-x-2"));
  EXPECT_EQ(newest().state, RoundState::open);
}

TEST_F(Outside, ALateHookOfAnAbortedRoundLeavesTheNextOneAlone) {
  for (int i = 1; i <= 3; ++i) arrive(i, come(HookAction::pre_dump, i));
  for (int i = 1; i <= 3; ++i) (void)ready(i, Phase::prepare);
  (void)rig_.say(agent(1), Message{{}, {}, {}, 1, CriuGone{101, 5}});
  ASSERT_EQ(newest().state, RoundState::aborted);
  const std::string end = newest().reason;
  (void)rig_.say(agent(1), come(HookAction::pre_dump, 1, 1000));
  ASSERT_EQ(newest().id, RoundId("hook-x-2"));
  // m2's CRIU was let go by the first round, and does not know it.
  for (const HookAction action : {HookAction::network_lock, HookAction::network_unlock}) {
    const Actions late = rig_.say(agent(2), come(action, 2));
    EXPECT_EQ(reason_for(late, 2), end) << to_string(action);
    ASSERT_EQ(late.sent_to(agent(2)).size(), 1U);
    EXPECT_EQ(late.sent_to(agent(2))[0].round, RoundId("hook-x-1"));
    EXPECT_EQ(late.sent_to(agent(2))[0].member, member(2));
    EXPECT_EQ(late.sent_to(agent(2))[0].sequence, 9U);
  }
  EXPECT_EQ(newest().state, RoundState::open) << newest().reason;
  EXPECT_EQ(rig_.say(agent(2), come(HookAction::pre_dump, 2, 1000)).lines().back(), "a2 < Order prepare m2");
}

TEST_F(Outside, TheSameProcessOfAnotherBootIsAnotherOne) {
  (void)rig_.say(agent(1), come(HookAction::pre_dump, 1));
  (void)rig_.say(kClient, Message{newest().id, {}, {}, 3, AbortRound{}});
  Message event = come(HookAction::pre_dump, 1);
  std::get<HookEvent>(event.body).pod.boot_id = "boot-2";
  (void)rig_.say(agent(1), event);
  EXPECT_EQ(newest().id, RoundId("hook-x-2"));
}

TEST_F(Outside, ACriuWhoseFirstHookDidNotComeIsTakenIntoNoRound) {
  (void)rig_.say(agent(1), come(HookAction::pre_dump, 1));
  // Of a round that a former broker had.
  for (const HookAction action : {HookAction::network_lock, HookAction::post_dump, HookAction::network_unlock}) {
    EXPECT_NE(reason_for(rig_.say(agent(2), come(action, 2, 7)), 2).find("does not know its CRIU"), std::string::npos);
  }
  EXPECT_EQ(newest().state, RoundState::open) << newest().reason;
  EXPECT_EQ(rig_.say(agent(2), come(HookAction::pre_dump, 2)).lines().back(), "a2 < Order prepare m2");
  // Who names the round means it.
  Message named = come(HookAction::network_lock, 3);
  named.round = newest().id;
  (void)rig_.say(agent(3), named);
  EXPECT_EQ(newest().state, RoundState::aborted);
  (void)rig_.say(agent(3), come(HookAction::pre_dump, 3));
  EXPECT_EQ(newest().id, RoundId("hook-x-2")) << "that one was never this round's";
}

TEST_F(Outside, OneIdentityOpensOnlySoManyInAMinute) {
  Rig rig{CoreSettings{.name = "broker-1", .own_rounds_in_a_minute = 2, .own_rounds = "hook-x"}};
  rig.core().set_standing_groups(shop());
  rig.everybody_says_hello(3);
  for (int i = 0; i < 4; ++i) {
    const Actions actions = rig.say(agent(1), come(HookAction::pre_dump, 1, i));
    EXPECT_EQ(reason_for(actions, 1).find("have opened 2 within a minute; try again later") != std::string::npos,
              i >= 2);
    const auto rounds = rig.broker().rounds;
    (void)rig.say(kClient, Message{rounds[0].id, {}, {}, 3, AbortRound{}});
    (void)rig.pass(milliseconds(1'000), 3);
  }
  EXPECT_EQ(rig.broker().counters.rounds_opened, 2U);
  Message alone = come(HookAction::pre_dump, 2, 9);
  alone.member = MemberId("alone");
  std::get<HookEvent>(alone.body).container.clear();
  std::get<HookEvent>(alone.body).dependencies = {MemberId("alone")};
  EXPECT_NE(reason_for(rig.say(agent(2), alone), 2).find("within a minute"), std::string::npos);
  Outbox out;
  const Identity other{Access::everything, "key-2", "key other", {}, {}};
  (void)rig.core().on_message(PeerId("k2"), Message{{}, {}, {}, 1, Hello{Role::agent, "k2", "boot-2", {}, true, {}}},
                              rig.now(), out, other);
  Message mine = come(HookAction::pre_dump, 1, 50);
  std::get<HookEvent>(mine.body).pod.boot_id = "boot-2";
  (void)rig.core().on_message(PeerId("k2"), mine, rig.now(), out, other);
  EXPECT_EQ(rig.broker().counters.rounds_opened, 3U) << "each identity counts for itself";
  (void)rig.say(kClient, Message{rig.broker().rounds[0].id, {}, {}, 3, AbortRound{}});
  (void)rig.pass(milliseconds(58'000), 3);
  (void)rig.say(agent(1), come(HookAction::pre_dump, 1, 60));
  EXPECT_EQ(rig.broker().counters.rounds_opened, 4U) << "a minute later it may again";
}

TEST_F(Outside, RoundsThatTheJournalDoesNotTakeCountAsWell) {
  struct FullJournal : MemoryJournal {
    Result<void> open(const JournalRound& /*round*/) override {
      ++tried;
      return fail(ErrorCode::system, "journal", "no space");
    }
    int tried = 0;
  } journal;
  Rig rig(journal, CoreSettings{.name = "broker-1", .own_rounds_in_a_minute = 2, .own_rounds = "hook-x"});
  rig.core().set_standing_groups(shop());
  rig.everybody_says_hello(3);
  for (int i = 0; i < 4; ++i) {
    const std::string why = reason_for(rig.say(agent(1), come(HookAction::pre_dump, 1, i)), 1);
    EXPECT_NE(why.find(i < 2 ? "no space" : "within a minute"), std::string::npos) << why;
  }
  EXPECT_EQ(journal.tried, 2);
}

TEST_F(Outside, WhatIsRefusedBeforeTheJournalIsAskedDoesNotCount) {
  Rig rig{CoreSettings{.name = "broker-1", .own_rounds_in_a_minute = 2, .own_rounds = "hook-x"}};
  rig.core().set_standing_groups(shop());
  rig.everybody_says_hello(3);
  OpenRound other = test::plan(Operation::dump, 1);
  other.members[0].id = MemberId("other");
  (void)rig.say(kClient, Message{RoundId("r-7"), kGroup, {}, 3, other});
  Message event = come(HookAction::pre_dump, 2);
  for (int i = 0; i < 4; ++i) {
    const std::string why = reason_for(rig.say(agent(2), event), 2);
    EXPECT_NE(why.find("is still open"), std::string::npos) << why;
  }
}

TEST_F(Outside, NoLaterHookOpensOne) {
  for (const HookAction action : {HookAction::network_lock, HookAction::post_dump, HookAction::network_unlock,
                                  HookAction::setup_namespaces, HookAction::post_restore}) {
    for (int i = 1; i <= 3; ++i) {
      EXPECT_EQ(reason_for(rig_.say(agent(i), come(action, i)), i), "no round is open for it");
    }
  }
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 0U);
}

TEST_F(Outside, ARoundThatAClientHasOpenedGoesFirst) {
  OpenRound plan = test::plan(Operation::dump, 3);
  plan.members[1].container = "c2";
  (void)rig_.say(kClient, Message{RoundId("r-7"), GroupId("other"), {}, 3, plan});
  const Actions actions = rig_.say(agent(2), come(HookAction::pre_dump, 2));
  EXPECT_EQ(actions.sent_to(agent(2)).at(0).round, RoundId("r-7"));
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 1U);
}

TEST_F(Outside, ARestoreBesideALiveDumpIsRefused) {
  (void)rig_.say(agent(2), come(HookAction::pre_dump, 2));
  Message restore = come(HookAction::pre_restore, 1);
  (void)rig_.say(agent(1), restore);
  EXPECT_NE(newest().reason.find("hook pre-restore came, but the round is a dump"), std::string::npos)
      << newest().reason;
}

TEST_F(Outside, WhatCouldBeTwoIsNone) {
  StandingGroup shop{kGroup, {}};
  StandingGroup bank{GroupId("bank"), {}};
  for (StandingGroup* group : {&shop, &bank}) group->plan.members.emplace_back().id = member(1);
  rig_.core().set_standing_groups(StandingGroups({shop, bank}));
  Message event = come(HookAction::pre_dump, 1);
  event.group = {};
  EXPECT_NE(reason_for(rig_.say(agent(1), event), 1).find("member m1 could be m1 of group shop, or m1 of group bank"),
            std::string::npos);
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 0U);
}

TEST_F(Outside, GroupsThatChangeLeaveARoundAsItIs) {
  (void)rig_.say(agent(2), come(HookAction::pre_dump, 2));
  rig_.core().set_standing_groups({});
  for (const int i : {1, 3})
    EXPECT_EQ(rig_.say(agent(i), come(HookAction::pre_dump, i)).lines().back(),
              "a" + std::to_string(i) + " < Order prepare m" + std::to_string(i));
  (void)rig_.ask(AbortRound{});
}

TEST_F(Outside, AKeyOpensARoundOnlyForItsOwnNodesPods) {
  Rig& rig = rig_;
  Outbox out;
  const Identity web1{Access::agent, "key-1", "key web-1", "web-1", {}};
  const Identity web2{Access::agent, "key-2", "key web-2", "web-2", {}};
  const auto say = [&](const PeerId& from, const Message& message, const Identity& who) {
    rig.core().on_message(from, message, rig.now(), out, who);
    return Actions{out.take()};
  };
  (void)say(PeerId("k1"), Message{{}, {}, {}, 1, Hello{Role::agent, "k1", "boot-1", {}, true, {}}}, web1);
  (void)say(PeerId("k2"), Message{{}, {}, {}, 1, Hello{Role::agent, "k2", "boot-2", {}, true, {}}}, web2);
  Message foreign = come(HookAction::pre_dump, 1);
  EXPECT_TRUE(std::holds_alternative<Refused>(say(PeerId("k2"), foreign, web2).sent_to(PeerId("k2")).at(0).body));
  Message nowhere = come(HookAction::pre_dump, 1);
  std::get<HookEvent>(nowhere.body).pod = {};
  const auto answer = say(PeerId("k2"), nowhere, web2).sent_to(PeerId("k2")).at(0);
  EXPECT_EQ(std::get<Release>(answer.body).verdict, Verdict::abort);
  EXPECT_EQ(rig.broker().counters.rounds_opened, 0U);
  (void)say(PeerId("k1"), come(HookAction::pre_dump, 1), web1);
  EXPECT_EQ(rig.broker().counters.rounds_opened, 1U);
}

// --- hooks that name each other -------------------------------------------------------------------------------------

class Gathered : public Outside {
 protected:
  Gathered() { rig_.core().set_standing_groups({}); }

  [[nodiscard]] static Message naming(HookAction action, int number, const std::vector<int>& others, int criu = 0) {
    HookEvent event = hook(action, number);
    event.criu_pid += criu;
    for (const int other : others) event.dependencies.push_back(member(other));
    if (action == HookAction::pre_restore) {
      Record saved = record(number, 2);
      saved.group = group_of({member(1), member(2)});
      event.record.bytes = encode_record(saved);
    }
    return Message{{}, {}, member(number), 9, std::move(event)};
  }
  void whole_round(Operation operation) {
    for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
      const HookAction action = action_of(operation, phase);
      // The first one is kept until the other has come.
      if (phase == 0) (void)rig_.say(agent(1), naming(action, 1, {2}));
      arrive(2, naming(action, 2, {1}));
      arrive(1, naming(action, 1, {2}));
      for (int i = 1; i <= 2; ++i) (void)ready(i, phases_of(operation)[phase]);
    }
  }
};

TEST_F(Gathered, TheLastOfASetOpensItsRound) {
  EXPECT_EQ(rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2})).lines(), Lines{"a1 < Pending prepare m1"});
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 0U);
  const Actions last = rig_.say(agent(2), naming(HookAction::pre_dump, 2, {1}));
  EXPECT_EQ(last.lines(), (Lines{"a1 < Pending prepare m1", "a1 < Order prepare m1", "a2 < Pending prepare m2",
                                 "a2 < Order prepare m2"}));
  EXPECT_EQ(last.sent_to(agent(1))[0].round, RoundId("hook-x-1"));
  EXPECT_EQ(newest().group, group_of({member(1), member(2)}));
  EXPECT_EQ(newest().members, 2U);
}

TEST_F(Gathered, DumpAndRestoreAreRoundsOfTheSameGroup) {
  whole_round(Operation::dump);
  EXPECT_EQ(newest().state, RoundState::complete) << newest().reason;
  const GroupId group = newest().group;
  whole_round(Operation::restore);
  EXPECT_EQ(newest().operation, Operation::restore);
  EXPECT_EQ(newest().state, RoundState::complete) << newest().reason;
  EXPECT_EQ(newest().group, group);
}

TEST_F(Gathered, OneAloneIsAGroupOfOne) {
  EXPECT_EQ(rig_.say(agent(1), naming(HookAction::pre_dump, 1, {1})).lines().back(), "a1 < Order prepare m1");
  EXPECT_EQ(newest().members, 1U);
}

TEST_F(Gathered, WhoIsMissingAbortsTheOthers) {
  (void)rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2, 3}));
  (void)rig_.say(agent(2), naming(HookAction::pre_dump, 2, {1}));
  const Actions late = rig_.pass(milliseconds(10'100), 3);
  for (int i = 1; i <= 2; ++i) EXPECT_NE(reason_for(late, i).find("waiting for m3 (named by m1)"), std::string::npos);
  EXPECT_EQ(rig_.broker().counters.rounds_opened, 0U);
}

TEST_F(Gathered, AHookThatIsKilledLeavesItsSet) {
  (void)rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2}));
  EXPECT_EQ(rig_.say(agent(1), Message{{}, {}, member(1), 10, HookGone{HookAction::pre_dump}}).lines(), Lines{});
  EXPECT_EQ(rig_.say(agent(2), naming(HookAction::pre_dump, 2, {1})).lines(), Lines{"a2 < Pending prepare m2"});
  (void)rig_.lose(agent(2));
  EXPECT_EQ(rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2}, 1000)).lines(), Lines{"a1 < Pending prepare m1"});
}

TEST_F(Gathered, NamesHaveToBeMutual) {
  (void)rig_.say(agent(2), naming(HookAction::pre_dump, 2, {2}));
  EXPECT_NE(reason_for(rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2})), 1).find("let each name the other"),
            std::string::npos);
  EXPECT_EQ(newest().state, RoundState::open) << "the other one's round is not this one's to end";
}

TEST_F(Gathered, ARoundThatABrokerHasTakenOverIsFinishedFirst) {
  MemoryJournal journal;
  {
    Rig first(journal);
    first.everybody_says_hello(2);
    (void)first.open(plan(Operation::dump, 2));
    first.walk(2, 3);
  }
  Rig second(journal);
  second.everybody_says_hello(2);
  const std::string why = reason_for(second.say(agent(1), naming(HookAction::pre_dump, 1, {2}, 1000)), 1);
  EXPECT_NE(why.find("round r-1"), std::string::npos) << why;
  EXPECT_NE(why.find("is still being finished"), std::string::npos) << why;
  EXPECT_NE(why.find("try again"), std::string::npos) << why;
}

TEST_F(Gathered, WhatLockstepKnowsByItselfGoesFirst) {
  rig_.core().set_standing_groups(shop());
  (void)rig_.say(agent(1), naming(HookAction::pre_dump, 1, {2}));
  EXPECT_EQ(newest().group, kGroup);
  Rig other;
  other.everybody_says_hello(2);
  (void)other.open(plan(Operation::dump, 2));
  Message event = naming(HookAction::pre_dump, 1, {5});
  event.member = MemberId("id-of-a-container");
  std::get<HookEvent>(event.body).container = "c1-0123456789ab";
  EXPECT_EQ(other.say(agent(1), event).lines().back(), "a1 < Order prepare m1")
      << "the client's round names its container";
}

TEST_F(Gathered, AContainersNameGoesBeforeAnIdThatNoGroupHas) {
  rig_.core().set_standing_groups(shop());
  Message event = naming(HookAction::pre_dump, 2, {5});
  event.member = MemberId("id-of-another-kind");
  std::get<HookEvent>(event.body).container = "c2-0123456789ab";
  EXPECT_EQ(rig_.say(agent(2), event).lines().back(), "a2 < Order prepare m2");
  EXPECT_EQ(newest().group, kGroup);
}

TEST_F(Gathered, WhatIsInARoundIsKeptNoMore) {
  for (const bool by_client : {true, false}) {
    Rig rig;
    rig.everybody_says_hello(2);
    Message event = naming(HookAction::pre_dump, 1, {5});
    std::get<HookEvent>(event.body).container = "c1-0123456789ab";
    EXPECT_EQ(rig.say(agent(1), event).lines(), Lines{"a1 < Pending prepare m1"});
    StandingGroup group{kGroup, plan(Operation::dump, 2)};
    if (by_client) {
      (void)rig.open(group.plan);
    } else {
      rig.core().set_standing_groups(StandingGroups({group}));
    }
    EXPECT_EQ(rig.say(agent(1), event).lines().back(), "a1 < Order prepare m1");
    (void)rig.say(agent(1),
                  Message{rig.broker().rounds[0].id, {}, member(1), 8, Ready{Phase::prepare, true, {}, {}, {}}});
    Message second = event;
    second.member = member(2);
    std::get<HookEvent>(second.body) = hook(HookAction::pre_dump, 2);
    (void)rig.say(agent(2), second);
    (void)rig.say(agent(2),
                  Message{rig.broker().rounds[0].id, {}, member(2), 8, Ready{Phase::prepare, true, {}, {}, {}}});
    const Actions later = rig.pass(milliseconds(10'500), 2);
    EXPECT_EQ(later.log().find("is sent back"), std::string::npos) << later.log();
  }
}

TEST_F(Gathered, WithoutAnIdOfItsOwnItIsRefused) {
  Message event = naming(HookAction::pre_dump, 1, {2});
  event.member = {};
  EXPECT_NE(reason_for(rig_.say(agent(1), event), 1), "");
  Message other = naming(HookAction::pre_dump, 1, {2});
  std::get<HookEvent>(other.body).dependencies.emplace_back("a\nb");
  EXPECT_NE(reason_for(rig_.say(agent(1), other), 1).find("no valid name"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::broker::test
