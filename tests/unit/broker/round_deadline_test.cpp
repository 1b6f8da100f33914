/// Time: deadlines name who is missing, silence ends rounds, nothing waits for ever.
#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

TEST(ADeadline, NamesThePhaseAndWhoIsMissing) {
  constexpr std::array<const char*, 3> kPhases{"prepare", "lock", "commit"};
  for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
    Rig rig;
    rig.everybody_says_hello(3);
    OpenRound open = plan(Operation::dump, 3);
    open.deadlines = {1'000, 1'000, 1'000, 1'000};
    (void)rig.open(open);
    rig.walk(3, phase);
    (void)rig.arrive(1, phase);
    (void)rig.ready(1, phase);
    (void)rig.arrive(3, phase);
    (void)rig.pass(milliseconds(999), 3);
    EXPECT_EQ(rig.status().state, RoundState::open);
    (void)rig.pass(milliseconds(1), 3);
    EXPECT_EQ(rig.status().state, RoundState::aborted);
    EXPECT_EQ(rig.status().reason, "deadline of phase " + std::string(kPhases[phase]) +
                                       " (1000 ms) is over; waiting for m2 (its hook has not come), m3 (its agent agent-3 has "
                                       "not answered)");
    EXPECT_EQ(rig.status().culprit, member(2));
  }
}

TEST(ADeadline, NamesFiveAndCountsTheOthers) {
  Rig rig;
  rig.everybody_says_hello(0);
  (void)rig.open(plan(Operation::dump, 8));
  (void)rig.pass(milliseconds(10'000));
  EXPECT_NE(rig.status().reason.find("m5 (its hook has not come) and 3 more"), std::string::npos) << rig.status().reason;
}

TEST(ADeadline, CountsFromTheReleaseOfThePhaseBefore) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  (void)rig.pass(milliseconds(9'000), 1);
  rig.walk(1, 1);
  (void)rig.pass(milliseconds(9'000), 1);
  EXPECT_EQ(rig.status().state, RoundState::open);
  (void)rig.pass(milliseconds(1'000), 1);
  EXPECT_EQ(rig.status().state, RoundState::aborted);
}

TEST(TheLastDeadline, EndsACommittedRoundWithAReport) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2, true));
  rig.walk(2, 3);
  (void)rig.arrive(1, 3);
  (void)rig.ready(1, 3);
  const Actions actions = rig.pass(milliseconds(30'000), 2);
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_NE(rig.status().reason.find("waiting for m2"), std::string::npos);
  EXPECT_EQ(rig.status().culprit, member(2));
  ASSERT_EQ(actions.published(kReleaseTopic).size(), 1U);
  EXPECT_EQ(std::get<Release>(actions.published(kReleaseTopic)[0].body).verdict, Verdict::go);
  EXPECT_EQ(actions.sent_to(agent(2)).size(), 1U) << "locks hang on it: told by name as well";
  EXPECT_EQ(rig.broker().counters.rounds_aborted, 0U);
}

TEST(ALostOwner, AfterTheDecisionIsReportedAndHoldsNobodyUp) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2, true));
  rig.walk(2, 3);
  (void)rig.arrive(1, 3);
  (void)rig.ready(1, 3);
  const Actions actions = rig.lose(agent(2));
  EXPECT_EQ(rig.status().state, RoundState::complete);
  EXPECT_NE(rig.status().reason.find("the pod's lock ends with its lease"), std::string::npos);
}

TEST(ARelayThatEndedWithItsHook, IsNotMissed) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  for (std::size_t phase = 0; phase < 3; ++phase) {
    const PeerId relay("relay-" + std::to_string(phase));  // one process for each hook
    (void)rig.hello(relay, {Role::relay, "relay", "boot-1", {}, false, {}});
    (void)rig.say(relay, 1, hook(action_of(Operation::dump, phase), 1));
    (void)rig.say(phase == 2 ? relay : agent(1), 1, Ready{kDumpPhases[phase], true, {}, {}, {}});
    // CRIU takes its time; the relay of the last hook has long gone.
    (void)rig.pass(milliseconds(phase == 0 ? 9'000 : 20'000), 1);
    if (phase == 0) (void)rig.pass(milliseconds(500), 1);
    EXPECT_NE(rig.status().state, RoundState::aborted) << rig.status().reason;
  }
  EXPECT_EQ(rig.status().state, RoundState::committed);
}

TEST(ARelayThatIsLostWithItsHook, AbortsTheRound) {
  Rig rig;
  rig.everybody_says_hello(1);
  const PeerId relay("relay");
  (void)rig.hello(relay, {Role::relay, "relay", "boot-1", {}, false, {}});
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.say(relay, 1, hook(HookAction::pre_dump, 1));
  (void)rig.lose(relay);
  EXPECT_EQ(rig.status().state, RoundState::aborted);
}

TEST(AStandstill, OfTheBrokerMakesVotesThatPiledUpWorthless) {
  // Both votes lie in the socket when the broker wakes up; m1's agent has given the round up meanwhile.
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  rig.walk(2, 2);
  for (int i = 1; i <= 2; ++i) (void)rig.arrive(i, 2);
  (void)rig.ready(1, 2);
  rig.sleep(milliseconds(12'000));
  const Actions vote = rig.ready(2, 2);
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  for (const Message& message : vote.published(kReleaseTopic)) {
    EXPECT_EQ(std::get<Release>(message.body).verdict, Verdict::abort);
  }
}

TEST(NextDeadline, IsNeverInThePastAfterItsTurn) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  for (int i = 0; i < 50; ++i) {
    (void)rig.pass(milliseconds(137), i % 3);
    (void)rig.time();
    EXPECT_GT(rig.core().next_deadline(), rig.now());
  }
}

}  // namespace
}  // namespace lockstep::broker::test
