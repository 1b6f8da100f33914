/// Every cause of an abort: who is blamed, in which words, and who is told.
#include <gtest/gtest.h>

#include "schemas/codec.hpp"
#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

struct Cause {
  const char* name;
  Operation operation;
  std::size_t passed;  ///< phases
  std::function<Actions(Rig&)> happen;
  const char* says;
  MemberId culprit;
};

const std::vector<Cause>& causes() {
  static const std::vector<Cause> all{
      {"agent refuses", Operation::dump, 1,
       [](Rig& rig) {
         (void)rig.arrive(2, 1);
         return rig.say(agent(2), 2, Ready{Phase::lock, false, "nftables is not there", {}, {}});
       },
       "lock refused: nftables is not there", member(2)},
      {"lock is lost during the dump", Operation::dump, 2,
       [](Rig& rig) { return rig.say(agent(1), 1, Ready{Phase::lock, false, "the lock ran out", {}, {}}); },
       "lock refused: the lock ran out", member(1)},
      {"dump failed", Operation::dump, 2, [](Rig& rig) { return rig.arrive(1, 3); },
       "network-unlock without post-dump", member(1)},
      {"hook out of order", Operation::dump, 0, [](Rig& rig) { return rig.arrive(1, 2); },
       "hook post-dump came while the round (dump) waits in phase prepare", member(1)},
      {"hook of the other operation", Operation::restore, 0,
       [](Rig& rig) { return rig.say(agent(1), 1, hook(HookAction::pre_dump, 1)); },
       "hook pre-dump came, but the round is a restore", member(1)},
      {"tree in another pod", Operation::dump, 0,
       [](Rig& rig) {
         HookEvent event = hook(HookAction::pre_dump, 1);
         event.pod = pod(2);
         return rig.say(agent(1), 1, event);
       },
       "its tree is in pod net:[1002]", member(1)},
      {"second CRIU", Operation::dump, 1,
       [](Rig& rig) {
         HookEvent event = hook(HookAction::pre_dump, 1);
         event.criu_pid = 999;
         return rig.say(agent(1), 1, event);
       },
       "CRIU process 999 came", member(1)},
      {"hook killed", Operation::dump, 2,
       [](Rig& rig) {
         (void)rig.arrive(2, 2);
         return rig.say(agent(2), 2, HookGone{HookAction::post_dump});
       },
       "hook post-dump was killed", member(2)},
      {"CRIU killed between two hooks", Operation::dump, 2,
       [](Rig& rig) { return rig.say(agent(2), Message{{}, {}, {}, 7, CriuGone{102, 5}}); },
       "CRIU has ended before the decision", member(2)},
      {"CRIU failed", Operation::restore, 2,
       [](Rig& rig) { return rig.say(kClient, 2, MemberResult{false, "Can't fork for 7: File exists"}); },
       "CRIU has failed: Can't fork for 7", member(2)},
      {"no action script", Operation::dump, 0, [](Rig& rig) { return rig.say(kClient, 1, MemberResult{true, {}}); },
       "is the action script set", member(1)},
      {"agent unreachable", Operation::dump, 2, [](Rig& rig) { return rig.lose(agent(1)); },
       "agent agent-1 can't be reached", member(1)},
      {"agent restarted", Operation::dump, 2,
       [](Rig& rig) {
         return rig.hello(PeerId("a1-again"), {Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {}});
       },
       "agent agent-1 was restarted", member(1)},
      {"agent silent", Operation::dump, 2, [](Rig& rig) { return rig.pass(milliseconds(4'000), 1); },
       "agent agent-2 has not been heard for 3000 ms", member(2)},
      {"operator", Operation::restore, 1, [](Rig& rig) { return rig.ask(AbortRound{"wrong node"}); }, "wrong node", {}},
      {"operator without words", Operation::dump, 0, [](Rig& rig) { return rig.ask(AbortRound{}); },
       "aborted by the operator", {}},
      {"broker stood still", Operation::dump, 2,
       [](Rig& rig) {
         rig.sleep(milliseconds(3'100));
         return rig.time();
       },
       "the broker stood still for 3100 ms", {}},
      {"broker stood still nearly as long as agents wait, who had heard it before", Operation::dump, 2,
       [](Rig& rig) {
         rig.sleep(milliseconds(2'100));
         return rig.time();
       },
       "the broker stood still for 2100 ms", {}},
      {"agent has given the broker up, which still hears it", Operation::dump, 2,
       [](Rig& rig) {
         return rig.hello(agent(1), Hello{Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {kRound}});
       },
       "agent agent-1 has not heard this broker for too long", member(1)},
  };
  return all;
}

void start(Rig& rig, const Cause& cause) {
  rig.everybody_says_hello(2);
  (void)rig.open(plan(cause.operation, 2));
  rig.walk(2, cause.passed);
}

TEST(Abort, TellsItsReasonItsCulpritAndEveryAgentConcerned) {
  for (const Cause& cause : causes()) {
    SCOPED_TRACE(cause.name);
    Rig rig;
    start(rig, cause);
    const Actions actions = cause.happen(rig);
    EXPECT_EQ(rig.status().state, RoundState::aborted);
    EXPECT_NE(rig.status().reason.find(cause.says), std::string::npos) << rig.status().reason;
    EXPECT_EQ(rig.status().culprit, cause.culprit);
    const auto published = actions.published(kReleaseTopic);
    ASSERT_EQ(published.size(), 1U);
    const auto& release = std::get<Release>(published[0].body);
    EXPECT_EQ(release.verdict, Verdict::abort);
    EXPECT_TRUE(release.over);
    EXPECT_EQ(release.reason, rig.status().reason);
    EXPECT_TRUE(published[0].member.empty()) << "it is for every member";
    EXPECT_NE(actions.log().find(cause.says), std::string::npos) << actions.log();
    EXPECT_EQ(rig.broker().counters.rounds_aborted, 1U);
  }
}

TEST(Abort, GoesToTheAgentsByNameAsWell) {
  Rig rig;
  rig.everybody_says_hello(3);
  (void)rig.open(plan(Operation::dump, 2));
  rig.walk(2, 2);
  EXPECT_EQ(rig.ask(AbortRound{"x"}).lines(),
            (Lines{"PUB Release commit abort over", "a1 < Release commit abort over", "a2 < Release commit abort over",
                   "cli < RoundStatus"}));
}

TEST(Abort, IsTheAnswerToEveryHookThatComesLater) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.ask(AbortRound{"x"});
  for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
    EXPECT_EQ(rig.arrive(1, phase).lines(), Lines{"a1 < Release prepare abort over"});
  }
}

TEST(Abort, DoesNotHappenAfterTheDecision) {
  for (const Cause& cause : causes()) {
    Rig rig;
    start(rig, cause);
    for (std::size_t phase = cause.passed; phase < 3; ++phase) {
      for (int i = 1; i <= 2; ++i) (void)rig.arrive(i, phase);
      for (int i = 1; i <= 2; ++i) (void)rig.ready(i, phase);
    }
    ASSERT_EQ(rig.status().state, RoundState::committed) << cause.name;
    (void)cause.happen(rig);
    EXPECT_NE(rig.status().state, RoundState::aborted) << cause.name;
  }
}

TEST(APodWithoutAnAgent, AbortsWithWhatToDo) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.say(agent(1), 2, hook(HookAction::pre_dump, 2));  // its hook has found an agent that does not own its pod
  EXPECT_NE(rig.status().reason.find("no agent owns pod net:[1002] of boot boot-1; start an agent"), std::string::npos)
      << rig.status().reason;
  EXPECT_EQ(rig.status().culprit, member(2));
}

struct BadRecord {
  const char* name;
  std::string first;   ///< what m1's folder holds
  std::string second;  ///< m2's
  const char* says;
};

TEST(Records, ThatDoNotFitRefuseARestoreBeforeAnythingExists) {
  const std::string good1 = encode_record(record(1, 2));
  const std::string good2 = encode_record(record(2, 2));
  Record foreign = record(2, 2);
  foreign.group = GroupId("other");
  Record three = record(2, 3);
  Record nameless = record(2, 2, RoundId());
  for (const BadRecord& row :
       {BadRecord{"missing", good1, "", "holds no record of a committed round"},
        BadRecord{"damaged", good1, good2.substr(0, good2.size() - 1), "damaged"},
        BadRecord{"no record at all", good1, "hello", "not a record of lockstep"},
        BadRecord{"other group", good1, encode_record(foreign), "belong to member m2 of group other"},
        BadRecord{"other member", good1, good1, "belong to member m1 of group shop"},
        BadRecord{"other member set", good1, encode_record(three), "made in a round of other members"},
        BadRecord{"other round", good1, encode_record(record(2, 2, RoundId("r-x"))), "are of round r-x, those of member m1 of round r-0"},
        BadRecord{"no round", good1, encode_record(nameless), "names no round"}}) {
    SCOPED_TRACE(row.name);
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::restore, 2));
    for (int i = 1; i <= 2; ++i) {
      HookEvent event = hook(HookAction::pre_restore, i);
      event.record.bytes = i == 1 ? row.first : row.second;
      (void)rig.say(agent(i), i, event);
    }
    EXPECT_EQ(rig.status().state, RoundState::aborted);
    EXPECT_EQ(rig.status().culprit, member(2));
    EXPECT_NE(rig.status().reason.find(row.says), std::string::npos) << rig.status().reason;
  }
}

TEST(AnotherCriu, GetsNoGoFromARoundThatIsDecided) {
  // The round's id still lies in the images folder when somebody runs criu there again by hand.
  for (const std::size_t passed : {3U, 4U}) {
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::restore, 2));
    rig.walk(2, passed);
    for (std::size_t phase = 0; phase < kPhasesPerRound; ++phase) {
      HookEvent event = hook(action_of(Operation::restore, phase), 1);
      event.criu_start = 6;  // the pid may even be the same
      const Actions actions = rig.say(agent(1), 1, event);
      const auto answers = actions.sent_to(agent(1));
      ASSERT_EQ(answers.size(), 1U);
      EXPECT_EQ(std::get<Release>(answers[0].body).verdict, Verdict::abort);
      EXPECT_FALSE(std::get<Release>(answers[0].body).over) << "the round's own hooks must not hear it";
    }
  }
}

TEST(AReadyOfAStranger, OpensNoBarrier) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 1));
  (void)rig.arrive(1, 0);
  EXPECT_EQ(rig.say(agent(2), 1, Ready{Phase::prepare, true, {}, {}, {}}).lines(), Lines{});
  for (const std::string& line : rig.say(kClient, 1, Ready{Phase::prepare, true, {}, {}, {}}).lines()) {
    EXPECT_EQ(line.find("PUB"), std::string::npos) << line;
  }
  EXPECT_EQ(rig.ready(1, 0).lines(), Lines{"PUB Release prepare go"});
}

TEST(TheEndOfACriu, CountsOnlyForItsOwnMemberBeforeTheDecision) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  rig.walk(2, 2);
  const auto gone = [&](int from, CriuGone which) { (void)rig.say(agent(from), Message{{}, {}, {}, 7, which}); };
  gone(1, {102, 5});  // another machine's
  gone(2, {102, 6});  // had the pid before
  gone(2, {103, 5});
  gone(2, {0, 0});
  EXPECT_EQ(rig.status().state, RoundState::open);
  rig.walk(2, 3);
  EXPECT_EQ(rig.status().state, RoundState::committed);
  gone(2, {102, 5});
  EXPECT_EQ(rig.status().state, RoundState::committed);
}

}  // namespace
}  // namespace lockstep::broker::test
