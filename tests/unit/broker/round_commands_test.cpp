/// Commands at the frozen point: no vote is asked for before the last one has succeeded, and none is kept waiting for a
/// client that is gone.
#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

CommandReport report(CommandMoment moment, CommandState state, const std::string& output = "said something") {
  CommandReport report{moment, state, {}};
  if (state != CommandState::running) {
    report.commands.push_back({moment, "cp -a data copy", state == CommandState::succeeded, 12, output});
  }
  return report;
}

/// A round of three in which m1 and m3 have commands, all of whose members stand at their votes.
class Commands : public ::testing::TestWithParam<Operation> {
 protected:
  Commands() {
    rig.everybody_says_hello(3);
    OpenRound open = plan(GetParam(), 3);
    open.members[0].frozen_commands = open.members[2].frozen_commands = true;
    (void)rig.open(open);
    rig.walk(3, 2);
    (void)rig.arrive(1, 2);
    (void)rig.arrive(3, 2);
  }
  Actions tell(int number, CommandReport said) { return rig.say(kClient, number, std::move(said)); }

  Rig rig;
};

INSTANTIATE_TEST_SUITE_P(Operations, Commands, ::testing::Values(Operation::dump, Operation::restore));

TEST_P(Commands, AreAskedForAtOnceWhenTheLastMemberHasCome) {
  const Actions actions = rig.arrive(2, 2);
  EXPECT_EQ(actions.lines(), (Lines{"cli < RoundStatus", "a2 < Pending commit m2"}));
  EXPECT_GE(rig.status().hold_begin_us, 0);
  EXPECT_EQ(rig.status().hold_end_us, -1);
}

TEST_P(Commands, HoldEveryOrderBackUntilTheLastHasSucceeded) {
  (void)rig.arrive(2, 2);
  EXPECT_EQ(rig.arrive(2, 2).lines(), (Lines{"a2 < Pending commit m2"})) << "a hook that asks again";
  EXPECT_EQ(tell(3, report(CommandMoment::frozen, CommandState::succeeded)).lines(), (Lines{"cli < RoundStatus m3"}));
  EXPECT_EQ(tell(3, report(CommandMoment::frozen, CommandState::succeeded)).lines(), (Lines{"cli < RoundStatus m3"}));
  const Lines orders{"a1 < Order commit m1", "a2 < Order commit m2", "a3 < Order commit m3", "cli < RoundStatus m1"};
  EXPECT_EQ(tell(1, report(CommandMoment::frozen, CommandState::succeeded)).lines(), orders);
  EXPECT_GE(rig.status().hold_end_us, 0);
  for (int i = 1; i <= 3; ++i) (void)rig.ready(i, 2);
  EXPECT_EQ(rig.status().state, RoundState::committed);
  ASSERT_EQ(rig.status().members[2].commands.size(), 1U) << "what was said twice is kept once";
  EXPECT_EQ(rig.status().members[2].commands[0].output, "said something");
}

TEST_P(Commands, TakeNoVoteForTheirSuccess) {
  (void)rig.arrive(2, 2);
  for (int i = 1; i <= 3; ++i) (void)rig.ready(i, 2);
  EXPECT_EQ(rig.status().state, RoundState::open);
}

TEST_P(Commands, ThatFailAbortTheRound) {
  (void)rig.arrive(2, 2);
  const Actions actions = tell(3, report(CommandMoment::frozen, CommandState::failed, "exit code 3"));
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  EXPECT_EQ(rig.status().reason, "command (frozen) failed `cp -a data copy`: exit code 3");
  EXPECT_EQ(rig.status().culprit, member(3));
  ASSERT_FALSE(actions.published(kReleaseTopic).empty());
  EXPECT_EQ(std::get<Release>(actions.published(kReleaseTopic)[0].body).verdict, Verdict::abort);
  // What the others say now is kept, and moves nothing.
  (void)tell(1, report(CommandMoment::frozen, CommandState::succeeded));
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  EXPECT_EQ(rig.status().members[0].commands.size(), 1U);
}

TEST_P(Commands, BeforeThePreparationAbortTheRoundToo) {
  (void)tell(2, report(CommandMoment::prepare, CommandState::failed, "exit code 1"));
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  EXPECT_EQ(rig.status().culprit, member(2));
}

TEST_P(Commands, OfASilentClientAreNotWaitedFor) {
  (void)rig.arrive(2, 2);
  (void)rig.pass(milliseconds(4'000), 3);
  (void)tell(1, report(CommandMoment::frozen, CommandState::running));
  (void)rig.pass(milliseconds(4'000), 3);
  EXPECT_EQ(rig.status().state, RoundState::open);
  (void)rig.pass(milliseconds(1'000), 3);
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  EXPECT_EQ(rig.status().reason,
            "the client has not been heard for 5000 ms while its members' commands had to run; was it "
            "killed?");
}

TEST_P(Commands, EndWithThePhasesDeadline) {
  (void)rig.arrive(2, 2);
  for (int i = 0; i < 301 && rig.status().state == RoundState::open; ++i) {
    (void)tell(1, report(CommandMoment::frozen, CommandState::running));
    (void)rig.pass(milliseconds(1'000), 3);
  }
  EXPECT_EQ(rig.status().state, RoundState::aborted);
  EXPECT_NE(rig.status().reason.find("m1 (its commands have not ended)"), std::string::npos) << rig.status().reason;
}

TEST_P(Commands, AfterTheRoundAreKeptWithIt) {
  (void)rig.arrive(2, 2);
  for (const int i : {1, 3}) (void)tell(i, report(CommandMoment::frozen, CommandState::succeeded));
  for (int i = 1; i <= 3; ++i) (void)rig.ready(i, 2);
  for (int i = 1; i <= 3; ++i) (void)rig.arrive(i, 3);
  for (int i = 1; i <= 3; ++i) (void)rig.ready(i, 3);
  EXPECT_EQ(rig.status().state, RoundState::complete);
  const Actions actions = tell(1, report(CommandMoment::resume, CommandState::failed));
  EXPECT_EQ(rig.status().state, RoundState::complete);
  ASSERT_EQ(rig.status().members[0].commands.size(), 2U);
  EXPECT_EQ(rig.status().members[0].commands[1].moment, CommandMoment::resume);
  const auto archived = [](const Action& action) { return std::holds_alternative<Archive>(action); };
  EXPECT_TRUE(std::ranges::any_of(actions.all, archived));
}

TEST_P(Commands, AreNotForAgentsToReport) {
  const Actions actions = rig.say(agent(1), 1, report(CommandMoment::frozen, CommandState::failed));
  EXPECT_TRUE(std::holds_alternative<Refused>(actions.sent_to(agent(1)).back().body));
  EXPECT_EQ(rig.status().state, RoundState::open);
}

}  // namespace
}  // namespace lockstep::broker::test
