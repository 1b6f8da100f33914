/// Two-phase commit in the broker's core: nothing is said of a decision that is not kept, and nothing is forgotten or
/// guessed by the broker that comes next.
#include "broker/core/journal.hpp"

#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

constexpr std::size_t kCommitPhase = 2;
constexpr std::size_t kLastPhase = 3;

/// Fails when it is told to, and tells what it was asked.
class TestJournal : public MemoryJournal {
 public:
  Result<void> open(const JournalRound& round) override {
    if (full) return broken();
    return MemoryJournal::open(round);
  }
  Result<void> decide(const JournalRound& round) override {
    if (full) return broken();
    ++decisions;
    auto kept = MemoryJournal::decide(round);
    return unsynced ? broken() : kept;
  }
  Result<void> undecide(const RoundId& round) override {
    if (stuck) return broken();
    return MemoryJournal::undecide(round);
  }
  Result<void> end(const Message& status) override {
    if (endless) return broken();
    return MemoryJournal::end(status);
  }
  Result<std::optional<Message>> find(const RoundId& round) override {
    if (unreadable) return broken();
    return MemoryJournal::find(round);
  }
  Result<std::vector<JournalRound>> unfinished() override {
    if (unreadable) return broken();
    return MemoryJournal::unfinished();
  }

  bool full = false;
  bool endless = false;  ///< takes no last words
  bool unreadable = false;
  bool unsynced = false;  ///< what is written stays, and is said to have failed
  bool stuck = false;     ///< nothing can be taken back
  int decisions = 0;

 private:
  static Failure broken() { return fail(ErrorCode::system, "journal", "no space"); }
};

const Release* release_to(const Actions& actions, const PeerId& peer) {
  static std::vector<Message> messages;
  messages = actions.sent_to(peer);
  return messages.empty() ? nullptr : std::get_if<Release>(&messages.back().body);
}

class JournalTest : public ::testing::TestWithParam<Operation> {
 protected:
  /// A round of two members that has passed `phases` barriers.
  Rig& at(std::size_t phases) {
    rig_.everybody_says_hello(2);
    (void)rig_.open(plan(GetParam(), 2));
    rig_.walk(2, phases);
    return rig_;
  }
  /// The last vote comes, and the decision fails.
  Actions fail_to_decide() {
    at(kCommitPhase);
    journal_.unsynced = true;
    for (const int number : {1, 2}) (void)rig_.arrive(number, kCommitPhase);
    (void)rig_.ready(1, kCommitPhase);
    return rig_.ready(2, kCommitPhase);
  }
  /// What agent 1 hears from `broker` when it says the hook of the commit phase again.
  Actions repeat_vote(Rig& broker) {
    broker.everybody_says_hello(2);
    return broker.say(agent(1), 1, hook(action_of(GetParam(), kCommitPhase), 1));
  }

  TestJournal journal_;
  Rig rig_{journal_};
};

INSTANTIATE_TEST_SUITE_P(Operations, JournalTest, ::testing::Values(Operation::dump, Operation::restore),
                         [](const auto& row) { return std::string(to_string(row.param)); });

TEST_P(JournalTest, TheDecisionIsKeptBeforeItIsSaid) {
  at(kCommitPhase);
  (void)rig_.arrive(1, kCommitPhase);
  (void)rig_.ready(1, kCommitPhase);
  (void)rig_.arrive(2, kCommitPhase);
  EXPECT_EQ(journal_.decisions, 0);
  EXPECT_FALSE(rig_.ready(2, kCommitPhase).published(kReleaseTopic).empty());
  EXPECT_EQ(journal_.decisions, 1);
}

TEST_P(JournalTest, WhatCanNotBeKeptIsAborted) {
  at(kCommitPhase);
  journal_.full = true;
  (void)rig_.arrive(1, kCommitPhase);
  (void)rig_.ready(1, kCommitPhase);
  (void)rig_.arrive(2, kCommitPhase);
  const auto said = rig_.ready(2, kCommitPhase).published(kReleaseTopic);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(std::get<Release>(said[0].body).verdict, Verdict::abort);
  EXPECT_EQ(rig_.status().state, RoundState::aborted);
  EXPECT_NE(rig_.status().reason.find("no space"), std::string::npos);
}

TEST_P(JournalTest, ADecisionThatFailedIsTakenBackBeforeTheAbortIsSaid) {
  const auto said = fail_to_decide().published(kReleaseTopic);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(std::get<Release>(said[0].body).verdict, Verdict::abort);
  EXPECT_EQ(rig_.status().state, RoundState::aborted);
  TestJournal before_the_end = journal_;
  Rig second(before_the_end);
  const Actions answer = repeat_vote(second);
  ASSERT_NE(release_to(answer, agent(1)), nullptr);
  EXPECT_EQ(release_to(answer, agent(1))->verdict, Verdict::abort) << "the disk had kept it";
}

TEST_P(JournalTest, WhatCanNotBeTakenBackEitherIsNotSpokenOf) {
  journal_.stuck = true;
  EXPECT_TRUE(fail_to_decide().published(kReleaseTopic).empty());
  EXPECT_EQ(rig_.status().state, RoundState::open);
  EXPECT_NE(rig_.status().reason.find("can't be taken back"), std::string::npos) << rig_.status().reason;

  EXPECT_TRUE(rig_.ask(AbortRound{"x"}).published(kReleaseTopic).empty()) << "whoever wants an abort has to wait";
  EXPECT_TRUE(rig_.lose(agent(1)).published(kReleaseTopic).empty());
  EXPECT_TRUE(rig_.pass(milliseconds(60'000), 2).published(kReleaseTopic).empty()) << "no deadline says it";
  const auto said = repeat_vote(rig_).sent_to(agent(1));
  ASSERT_FALSE(said.empty());
  EXPECT_TRUE(std::holds_alternative<Pending>(said.back().body));
  const auto refused =
      rig_.say(kClient, {RoundId("r-2"), GroupId("bank"), {}, 8, plan(GetParam(), 2)}).sent_to(kClient);
  ASSERT_EQ(refused.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<Refused>(refused[0].body));
  EXPECT_NE(std::get<Refused>(refused[0].body).reason.find("the journal has failed in round r-1"), std::string::npos);

  TestJournal disk = journal_;
  Rig next(disk);
  const Actions answer = repeat_vote(next);
  ASSERT_NE(release_to(answer, agent(1)), nullptr);
  EXPECT_EQ(release_to(answer, agent(1))->verdict, Verdict::go) << "as the disk has it: nobody has heard otherwise";
}

TEST_P(JournalTest, AStatusHasOnlySoManyDifferencesWhileTheDecisionIsInDoubtToo) {
  if (GetParam() == Operation::dump) return;
  OpenRound warned = plan(GetParam(), 2);
  warned.policy.revalidation = RevalidationPolicy::warn;
  rig_.everybody_says_hello(2);
  (void)rig_.open(warned);
  rig_.walk(2, kCommitPhase);
  journal_.unsynced = journal_.stuck = true;
  SocketTable unexpected(2 * kMaxDifferences);
  for (std::size_t i = 0; i < unexpected.size(); ++i) {
    unexpected[i].local.port = unexpected[i].remote.port = static_cast<std::uint16_t>(i + 1);
    unexpected[i].inode = i + 1;
  }
  for (const int number : {1, 2}) (void)rig_.arrive(number, kCommitPhase);
  (void)rig_.ready(1, kCommitPhase);
  (void)rig_.say(agent(2), 2, Ready{phases_of(GetParam())[kCommitPhase], true, {}, {}, unexpected}, 8);
  EXPECT_EQ(rig_.status().state, RoundState::open);
  EXPECT_EQ(rig_.status().differences.size(), kMaxDifferences);
}

TEST_P(JournalTest, WhatCanBeTakenBackLaterIsAbortedThen) {
  journal_.stuck = true;
  (void)fail_to_decide();
  (void)rig_.pass(milliseconds(2'000), 2);
  journal_.stuck = false;
  const auto said = rig_.pass(milliseconds(1'000), 2).published(kReleaseTopic);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(std::get<Release>(said[0].body).verdict, Verdict::abort);
  EXPECT_NE(rig_.status().reason.find("the decision can't be kept"), std::string::npos) << rig_.status().reason;
  EXPECT_TRUE(journal_.unfinished()->empty());
}

TEST_P(JournalTest, AFullJournalOpensNoRound) {
  rig_.everybody_says_hello(2);
  journal_.full = true;
  const auto answer = rig_.open(plan(GetParam(), 2)).sent_to(kClient);
  ASSERT_EQ(answer.size(), 1U);
  const auto* refused = std::get_if<Refused>(&answer[0].body);
  ASSERT_NE(refused, nullptr);
  EXPECT_NE(refused->reason.find("no space"), std::string::npos);
  EXPECT_TRUE(rig_.broker().rounds.empty());
}

TEST_P(JournalTest, TheNextBrokerAbortsWhatWasNotDecided) {
  for (const std::size_t phases : {std::size_t{0}, std::size_t{1}, kCommitPhase}) {
    TestJournal journal;
    {
      Rig first(journal);
      first.everybody_says_hello(2);
      (void)first.open(plan(GetParam(), 2));
      first.walk(2, phases);
    }
    Rig second(journal);
    const auto said = second.recovered().published(kReleaseTopic);
    ASSERT_EQ(said.size(), 1U) << phases;
    EXPECT_EQ(std::get<Release>(said[0].body).verdict, Verdict::abort);
    const Actions answer = repeat_vote(second);
    const Release* release = release_to(answer, agent(1));
    ASSERT_NE(release, nullptr) << phases;
    EXPECT_EQ(release->verdict, Verdict::abort);
    EXPECT_TRUE(release->over);
    EXPECT_NE(second.status().reason.find("restarted"), std::string::npos);
  }
}

TEST_P(JournalTest, TheNextBrokerSeesThroughWhatWasDecided) {
  at(kLastPhase);
  Rig second(journal_);
  EXPECT_TRUE(second.recovered().published(kReleaseTopic).empty());
  const Actions answer = repeat_vote(second);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::go);
  EXPECT_EQ(release->phase, Phase::commit);
  EXPECT_EQ(second.status().state, RoundState::committed);
  // What is left of the round: its members unlock, told or unasked.
  (void)second.say(agent(1), 1, hook(HookAction::network_unlock, 1));
  const Phase last = phases_of(GetParam())[kLastPhase];
  (void)second.say(agent(1), 1, Ready{.phase = last, .ok = true, .reason = {}, .addresses = {}, .sockets = {}});
  (void)second.say(agent(2), 2, Ready{.phase = last, .ok = true, .reason = {}, .addresses = {}, .sockets = {}});
  EXPECT_EQ(second.status().state, RoundState::complete);
  EXPECT_TRUE(journal_.unfinished()->empty());
}

TEST_P(JournalTest, AnAgentThatHoldsADecidedRoundIsToldTheDecision) {
  at(kLastPhase);
  Rig second(journal_);
  Hello hello{Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {kRound}};
  const Actions answer = second.hello(agent(1), hello);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::go);
  EXPECT_FALSE(release->over);
}

TEST_P(JournalTest, WhatHasEndedIsAnsweredFromTheJournal) {
  at(kLastPhase + 1);
  EXPECT_EQ(rig_.status().state, RoundState::complete);
  Rig second(journal_);
  const Actions answer = repeat_vote(second);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::go);
  EXPECT_TRUE(release->over);
}

TEST_P(JournalTest, ADecidedRoundWhoseEndCouldNotBeKeptIsNotTakenForAborted) {
  Rig rig(journal_, {.name = "b", .kept_rounds = 0});
  rig.everybody_says_hello(2);
  (void)rig.open(plan(GetParam(), 2));
  journal_.endless = true;
  rig.walk(2, kLastPhase + 1);
  ASSERT_EQ(rig.status().state, RoundState::complete);
  (void)rig.say(kClient, {RoundId("r-2"), GroupId("bank"), {}, 8, plan(GetParam(), 2)});
  (void)rig.say(kClient, {RoundId("r-2"), {}, {}, 8, AbortRound{}});
  ASSERT_EQ(rig.broker().rounds.size(), 1U) << "the decided one is not in memory any more";
  for (const bool by_hook : {true, false}) {
    const Actions answer = by_hook ? repeat_vote(rig) : rig.say(agent(1), Message{{}, {}, {}, 1, Heartbeat{{kRound}}});
    const Release* release = release_to(answer, agent(1));
    ASSERT_NE(release, nullptr);
    EXPECT_EQ(release->verdict, Verdict::go);
    EXPECT_TRUE(release->over);
  }
}

TEST_P(JournalTest, AbortedRoundsPushNoCommittedOneOutOfAJournalInMemory) {
  MemoryJournal journal(3);
  std::int64_t now = 1;
  const auto add = [&](const std::string& id, RoundState state) {
    const JournalRound begin{RoundId(id), kGroup, {}, now, false};
    EXPECT_TRUE(journal.open(begin));
    RoundStatus status;
    status.operation = GetParam();
    status.state = state;
    EXPECT_TRUE(journal.end(Message{begin.id, begin.group, {}, 0, status}));
  };
  const auto knows = [&](const std::string& id) { return journal.find(RoundId(id))->has_value(); };
  add("committed", RoundState::complete);
  for (int i = 0; i < 10; ++i) add("a" + std::to_string(i), RoundState::aborted);
  for (int i = 0; i < 10; ++i) add("c" + std::to_string(i), RoundState::complete);
  EXPECT_TRUE(knows("committed"));
  EXPECT_FALSE(knows("a0"));
  EXPECT_TRUE(knows("a9")) << "for the history";
  now += kKeptForDoubtMs + 1;
  add("later", RoundState::complete);
  EXPECT_FALSE(knows("committed"));
  for (std::size_t i = 0; i < 2 * kMostForDoubt * 3; ++i) add("l" + std::to_string(i), RoundState::complete);
  EXPECT_FALSE(knows("later")) << "there is a limit all the same";
}

TEST_P(JournalTest, AnUnreadableJournalIsNotGuessedAt) {
  at(kLastPhase);
  journal_.unreadable = true;
  Rig second(journal_);
  EXPECT_NE(second.recovered().log().find("no space"), std::string::npos);
  const auto said = repeat_vote(second).sent_to(agent(1));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Pending>(said[0].body)) << "the round may have been decided";
  Hello hello{Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {kRound}};
  const auto told = second.hello(agent(1), hello).sent_to(agent(1));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Welcome>(told[0].body));
}

TEST_P(JournalTest, AJournalThatCanBeReadAgainIsTakenUpThen) {
  at(kLastPhase);
  journal_.unreadable = true;
  Rig second(journal_);
  second.everybody_says_hello(2);
  const auto refused = second.say(kClient, {RoundId("r-2"), kGroup, {}, 8, plan(GetParam(), 2)}).sent_to(kClient);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Refused>(refused[0].body)) << "the group may have an unfinished round";
  journal_.unreadable = false;
  const auto early = repeat_vote(second).sent_to(agent(1));
  EXPECT_TRUE(std::holds_alternative<Pending>(early.back().body)) << "an unfinished round is not one that never was";
  (void)second.pass(milliseconds(1'000), 2);
  const Actions answer = repeat_vote(second);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::go);
  EXPECT_EQ(second.status().state, RoundState::committed);
}

TEST_P(JournalTest, AHookInDoubtIsToldTheDecisionAfterTheEndToo) {
  at(kLastPhase);
  Rig second(journal_);
  second.everybody_says_hello(2);
  (void)second.pass(milliseconds(plan(GetParam(), 2).deadlines.finish_ms + 1'000), 2);
  ASSERT_EQ(second.status().state, RoundState::complete) << "no hook has come: whose CRIUs these are is not known";
  HookEvent event = hook(action_of(GetParam(), kCommitPhase), 1);
  event.in_doubt = true;
  const Actions answer = second.say(agent(1), 1, event);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::go);
}

TEST_P(JournalTest, ANamelessHookIsNotTakenForOneOfARoundThatWasTakenOver) {
  at(kLastPhase);
  Rig second(journal_);
  second.everybody_says_hello(2);
  const HookEvent event = hook(action_of(GetParam(), kCommitPhase), 1);
  const Actions answer = second.say(agent(1), Message{{}, kGroup, member(1), 7, event});
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::abort);
}

TEST_P(JournalTest, ANamelessHookHearsItsNamesBeforeItsVoteIsAskedFor) {
  at(kCommitPhase);
  const HookEvent event = hook(action_of(GetParam(), kCommitPhase), 1);
  const auto named = rig_.say(agent(1), Message{{}, kGroup, member(1), 7, event}).sent_to(agent(1));
  ASSERT_EQ(named.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Pending>(named[0].body));
  EXPECT_EQ(named[0].round, kRound);
  const auto ordered = rig_.say(agent(1), Message{kRound, kGroup, member(1), 7, event}).sent_to(agent(1));
  ASSERT_EQ(ordered.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Order>(ordered[0].body));
}

TEST_P(JournalTest, AnUnknownRoundWasNeverDecided) {
  const Actions answer = repeat_vote(rig_);
  const Release* release = release_to(answer, agent(1));
  ASSERT_NE(release, nullptr);
  EXPECT_EQ(release->verdict, Verdict::abort);
}

TEST_P(JournalTest, HowCriuEndedIsGatheredAfterTheRoundsEndToo) {
  const auto outcome = [this](std::size_t of) {
    const auto last_word = journal_.find(kRound);
    const auto& status = std::get<RoundStatus>((*last_word)->body);
    return std::pair(status.members[of].criu, status.members[of].detail);
  };
  at(kLastPhase + 1);
  EXPECT_EQ(outcome(0).first, CriuOutcome::running);
  (void)rig_.say(kClient, 1, MemberResult{true, "fine"});
  EXPECT_EQ(outcome(0), std::pair(CriuOutcome::succeeded, std::string("fine")));

  Rig second(journal_);  // knows the round from its journal alone
  second.everybody_says_hello(2);
  const auto answer = second.say(kClient, 2, MemberResult{false, "no space"}).sent_to(kClient);
  EXPECT_EQ(outcome(1), std::pair(CriuOutcome::failed, std::string("no space")));
  EXPECT_EQ(outcome(0).first, CriuOutcome::succeeded);
  ASSERT_EQ(answer.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<RoundStatus>(answer[0].body));
  (void)second.say(kClient, 2, MemberResult{true, "again"});
  EXPECT_EQ(outcome(1).first, CriuOutcome::failed) << "the first word counts";
  const auto stranger = second.say(kClient, 3, MemberResult{true, {}}).sent_to(kClient);
  EXPECT_TRUE(std::holds_alternative<Refused>(stranger.at(0).body));
}

TEST_P(JournalTest, HistoryListsWhatHasEnded) {
  at(1);
  (void)rig_.ask(AbortRound{"enough"});
  Rig second(journal_);
  second.everybody_says_hello(2);
  for (const std::string group : {"", "shop", "other"}) {
    const auto said = second.say(kClient, Message{{}, GroupId(group), {}, 3, GetHistory{10}}).sent_to(kClient);
    ASSERT_EQ(said.size(), 1U);
    const auto* history = std::get_if<History>(&said[0].body);
    ASSERT_NE(history, nullptr);
    ASSERT_EQ(history->rounds.size(), group == "other" ? 0U : 1U) << group;
    if (group == "other") continue;
    EXPECT_EQ(history->rounds[0].state, RoundState::aborted);
    EXPECT_EQ(history->rounds[0].reason, "enough");
  }
  EXPECT_EQ(second.status().members.size(), 2U) << "the round itself is there as well";
}

}  // namespace
}  // namespace lockstep::broker::test
