/// What is around the rounds: peers, membership, questions, counters, publications.
#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

using Lines = std::vector<std::string>;

template <class T>
T only_answer(const Actions& actions, const PeerId& to) {
  const auto messages = actions.sent_to(to);
  EXPECT_EQ(messages.size(), 1U);
  if (messages.size() != 1 || !std::holds_alternative<T>(messages[0].body)) {
    ADD_FAILURE() << (messages.empty() ? "nothing" : type_name(messages[0].body));
    return {};
  }
  return std::get<T>(messages[0].body);
}

Message nameless(const std::string& container, MemberId member = {}, GroupId group = {}) {
  HookEvent event = hook(HookAction::pre_dump, 1);
  event.container = container;
  return Message{{}, std::move(group), std::move(member), 9, event};
}

TEST(AnUnknownPeer, IsToldToSayHello) {
  Rig rig;
  const Actions actions = rig.say(agent(1), 1, hook(HookAction::pre_dump, 1), 33);
  EXPECT_TRUE(only_answer<Refused>(actions, agent(1)).say_hello);
  EXPECT_EQ(actions.sent_to(agent(1))[0].sequence, 33U);
}

TEST(Hello, IsAnsweredWithTheBrokersTimes) {
  Rig rig;
  rig.core().set_published(17);
  const auto welcome = only_answer<Welcome>(rig.hello(agent(1), {}), agent(1));
  EXPECT_EQ(welcome.broker, "broker-1");
  EXPECT_EQ(welcome.heartbeat_ms, 500U);
  EXPECT_EQ(welcome.silence_ms, 3'000U);
  EXPECT_EQ(welcome.published, 17U);
}

TEST(HeldRounds, ThatAreOverOrUnknownAreReleased) {
  for (const bool by_heartbeat : {false, true}) {
    Rig rig;
    rig.everybody_says_hello(1);
    (void)rig.open(plan(Operation::dump, 1));
    const std::vector<RoundId> held{kRound, RoundId("r-unknown")};
    const auto tell = [&] {
      return by_heartbeat ? rig.say(agent(1), Message{{}, {}, {}, 1, Heartbeat{held}})
                          : rig.hello(agent(1), {Role::agent, "n", "boot-1", {1001}, false, held});
    };
    EXPECT_EQ(tell().lines().at(1), "a1 < Release prepare abort over");
    EXPECT_EQ(tell().lines().size(), 2U) << "the live round stays";
    (void)rig.ask(AbortRound{});
    EXPECT_EQ(tell().lines().size(), 3U);
  }
}

TEST(AHookWithoutNames, IsFoundByItsContainer) {
  for (const char* container : {"c1-0123456789ab", "c1-0123456789abcdef0123", "c1-01"}) {
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::dump, 2));
    EXPECT_EQ(rig.say(agent(1), nameless(container)).lines(), (Lines{"a1 < Pending prepare m1", "a1 < Order prepare m1"}));
  }
}

TEST(AHookWithoutNames, IsFoundAmongTheRoundsOfSeveralGroups) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  OpenRound other = plan(Operation::dump, 1);
  other.members[0].container = "dd-0123456789ab";
  (void)rig.say(kClient, Message{RoundId("r-2"), GroupId("bank"), {}, 3, other});
  const Actions actions = rig.say(agent(1), nameless("dd-0123456789ab"));
  ASSERT_FALSE(actions.sent_to(agent(1)).empty());
  EXPECT_EQ(actions.sent_to(agent(1))[0].round, RoundId("r-2"));
  EXPECT_EQ(actions.sent_to(agent(1))[0].sequence, 9U) << "so that its agent knows which hook is meant";
}

TEST(AHookWithoutARound, IsFoundByItsGroupOrItsMember) {
  for (const Message& event : {nameless("", member(1), kGroup), nameless("", member(1))}) {
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::dump, 2));
    EXPECT_EQ(rig.say(agent(1), event).lines().back(), "a1 < Order prepare m1");
  }
}

TEST(AHookThatNobodyExpects, IsAnsweredAbort) {
  struct Row {
    const char* name;
    Message event;
    const char* says;
    bool over;
  };
  Message unknown_round{RoundId("r-9"), kGroup, member(1), 9, hook(HookAction::pre_dump, 1)};
  Message unknown_member{kRound, kGroup, member(7), 9, hook(HookAction::pre_dump, 1)};
  Message no_member{kRound, kGroup, {}, 9, hook(HookAction::network_lock, 1)};
  for (const Row& row : {Row{"round", unknown_round, "does not know this round", true},
                         Row{"member", unknown_member, "round r-1 has no such member", false},
                         Row{"no member, no container", no_member, "round r-1 has no such member", false},
                         Row{"container", nameless("e5"), "no round is open for it", true},
                         Row{"other group", nameless("", member(1), GroupId("bank")), "no round is open for it", true}}) {
    SCOPED_TRACE(row.name);
    Rig rig;
    rig.everybody_says_hello(2);
    (void)rig.open(plan(Operation::dump, 2));
    const Actions actions = rig.say(agent(1), row.event);
    const auto release = only_answer<Release>(actions, agent(1));
    EXPECT_EQ(release.verdict, Verdict::abort);
    EXPECT_EQ(release.over, row.over) << "a live round's locks must stay";
    EXPECT_EQ(release.phase, row.over ? release.phase : phase_of(std::get<HookEvent>(row.event.body).action));
    EXPECT_NE(release.reason.find(row.says), std::string::npos) << release.reason;
    EXPECT_EQ(actions.sent_to(agent(1))[0].sequence, 9U);
    EXPECT_EQ(rig.status().state, RoundState::open);
  }
}

TEST(AHookWithoutARound, ThatTwoCouldBeMeantForHearsWhichTwo) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.say(kClient, Message{RoundId("r-2"), GroupId("bank"), {}, 3, plan(Operation::dump, 1)});
  const std::string reason = only_answer<Release>(rig.say(agent(1), nameless("", member(1))), agent(1)).reason;
  EXPECT_NE(reason.find("round r-1 of group shop, or for round r-2 of group bank"), std::string::npos) << reason;
  EXPECT_NE(reason.find("LOCKSTEP_GROUP"), std::string::npos) << reason;
  EXPECT_EQ(rig.say(agent(1), nameless("", member(1), GroupId("bank"))).lines().back(), "a1 < Order prepare m1");
}

TEST(AContainer, ThatFitsTwoMembersFitsNone) {
  Rig rig;
  rig.everybody_says_hello(2);
  OpenRound open = plan(Operation::dump, 2);
  open.members[1].container = open.members[0].container + "x";
  (void)rig.open(open);
  const Actions actions = rig.say(agent(1), nameless("c1"));
  EXPECT_EQ(only_answer<Release>(actions, agent(1)).verdict, Verdict::abort);
}

TEST(OpenRound, SaidAgainOpensNothingTwice) {
  Rig rig;
  rig.everybody_says_hello(1);
  for (int i = 0; i < 3; ++i) {
    const auto status = only_answer<RoundStatus>(rig.open(plan(Operation::dump, 1)), kClient);
    EXPECT_EQ(status.members.size(), 1U);
  }
  EXPECT_EQ(rig.broker().counters.rounds_opened, 1U);
  EXPECT_EQ(rig.broker().rounds.size(), 1U);
}

TEST(OpenRound, IsRefusedWhileTheGroupHasALiveRound) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  const auto again = [&] { return rig.say(kClient, Message{RoundId("r-2"), kGroup, {}, 3, plan(Operation::dump, 1)}); };
  EXPECT_NE(only_answer<Refused>(again(), kClient).reason.find("round r-1 of group shop is still open"), std::string::npos);
  (void)rig.ask(AbortRound{});
  EXPECT_EQ(only_answer<RoundStatus>(again(), kClient).state, RoundState::open);
}

TEST(OpenRound, IsRefusedWhereThePlanIsNotSound) {
  const auto plan_with = [](auto change) {
    OpenRound open = plan(Operation::dump, 2);
    change(open);
    return open;
  };
  for (const OpenRound& bad : {plan_with([](OpenRound& open) { open.members.clear(); }),
                               plan_with([](OpenRound& open) { open.members[1].id = open.members[0].id; }),
                               plan_with([](OpenRound& open) { open.members[0].id = MemberId(); }),
                               plan_with([](OpenRound& open) { open.deadlines.lock_ms = 0; }),
                               plan_with([](OpenRound& open) { open.deadlines.commit_ms = 90'000'000; }),
                               plan_with([](OpenRound& open) { open.lease_ms = 999; }),
                               plan_with([](OpenRound& open) { open.lease_ms = 600'001; })}) {
    EXPECT_TRUE(check_plan(bad));
    Rig rig;
    rig.everybody_says_hello(1);
    EXPECT_FALSE(only_answer<Refused>(rig.open(bad), kClient).reason.empty());
    EXPECT_TRUE(rig.broker().rounds.empty());
  }
  EXPECT_EQ(check_plan(plan(Operation::restore, 2)), std::nullopt);
}

TEST(GetRound, FindsByIdOrTheNewestOfTheGroup) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  (void)rig.ask(AbortRound{});
  (void)rig.say(kClient, Message{RoundId("r-2"), kGroup, {}, 3, plan(Operation::restore, 1)});
  EXPECT_EQ(rig.status().operation, Operation::dump);
  EXPECT_EQ(rig.status(RoundId()).operation, Operation::restore);
  for (const auto& [round, group] : {std::pair{RoundId("r-9"), kGroup}, std::pair{RoundId(), GroupId("bank")}}) {
    EXPECT_FALSE(only_answer<Refused>(rig.say(kClient, Message{round, group, {}, 3, GetRound{}}), kClient).reason.empty());
  }
}

TEST(Questions, AboutUnknownRoundsAndMessagesForOthersAreRefusedAndCounted) {
  Rig rig;
  rig.everybody_says_hello(1);
  const std::vector<Body> bodies{AbortRound{}, MemberResult{}, Welcome{}, Order{}, Release{}, Alive{}, Answer{}, Stored{}};
  for (const Body& body : bodies) {
    EXPECT_FALSE(only_answer<Refused>(rig.ask(body), kClient).say_hello) << type_name(body);
  }
  EXPECT_EQ(rig.broker().counters.refused, bodies.size());
}

TEST(MalformedMessages, AreCountedAnsweredAndLogged) {
  Rig rig;
  Outbox out;
  rig.core().on_malformed(agent(5), "over a limit", out);
  const Actions actions{out.take()};
  EXPECT_EQ(only_answer<Refused>(actions, agent(5)).reason, "over a limit");
  EXPECT_NE(actions.log().find("an unknown peer: over a limit"), std::string::npos);
  rig.everybody_says_hello(0);
  EXPECT_EQ(rig.broker().counters.malformed, 1U);
}

TEST(Status, TellsAgentsAndRoundsNewestFirst) {
  Rig rig;
  rig.everybody_says_hello(2);
  for (const char* id : {"r-1", "r-2"}) {
    (void)rig.say(kClient, Message{RoundId(id), GroupId(id), {}, 3, plan(Operation::dump, 2)});
  }
  (void)rig.pass(milliseconds(700), 1);
  const BrokerStatus status = rig.broker();
  ASSERT_EQ(status.agents.size(), 2U) << "clients are no agents";
  EXPECT_EQ(status.agents[1].last_heard_ms, 700U);
  ASSERT_EQ(status.rounds.size(), 2U);
  EXPECT_EQ(status.rounds[0].id, RoundId("r-2"));
  EXPECT_EQ(status.rounds[0].opened_unix_ms, 1'700'000'000'000);
  EXPECT_EQ(status.up_ms, 700);
}

TEST(Notes, OfAMemberAreKeptUpToALimit) {
  Rig rig;
  rig.everybody_says_hello(1);
  (void)rig.open(plan(Operation::dump, 1));
  for (std::size_t phase = 0; phase < 2; ++phase) {
    (void)rig.arrive(1, phase);
    Ready ready{phases_of(Operation::dump)[phase], true, {}, {}, {}};
    ready.notes.assign(40, std::string(4'000, 'x'));
    (void)rig.say(agent(1), 1, ready, 8);
  }
  const auto notes = rig.status().members.at(0).notes;
  ASSERT_EQ(notes.size(), 64U);
  EXPECT_EQ(notes.front(), std::string(512, 'x'));
  EXPECT_EQ(notes.back(), "and more");
}

TEST(Publications, OfAStatusAreGathered) {
  Rig rig;
  rig.everybody_says_hello(2);
  (void)rig.open(plan(Operation::dump, 2));
  (void)rig.pass(milliseconds(100), 2);
  for (int i = 1; i <= 2; ++i) (void)rig.arrive(i, 0);
  EXPECT_EQ(rig.pass(milliseconds(100), 2).published(kStatusTopic).size(), 1U) << "two events, one publication";
  EXPECT_EQ(rig.pass(milliseconds(100), 2).published(kStatusTopic).size(), 0U);
  (void)rig.ask(AbortRound{});
  const auto last = rig.time().published(kStatusTopic);
  ASSERT_EQ(last.size(), 1U) << "an end is told at once";
  EXPECT_EQ(std::get<RoundStatus>(last[0].body).state, RoundState::aborted);
}

TEST(MalformedMessages, DoNotFloodTheLog) {
  Rig rig;
  Outbox out;
  for (int i = 0; i < 1000; ++i) rig.core().on_malformed(agent(5), "over a limit", out);
  const Actions many{out.take()};
  EXPECT_EQ(std::ranges::count(many.log(), '\n'), 1);
  EXPECT_EQ(many.sent_to(agent(5)).size(), 1000U) << "all are answered";
  rig.pass(seconds(61));
  rig.core().on_malformed(agent(5), "over a limit", out);
  EXPECT_NE(Actions{out.take()}.log().find("999 more refusals"), std::string::npos);
  rig.everybody_says_hello(0);
  EXPECT_EQ(rig.broker().counters.malformed, 1001U) << "and counted";
}

TEST(Agents, CannotClaimMorePodsThanThereIsRoomFor) {
  Rig rig({.name = "b", .max_pods = 5});
  (void)only_answer<Welcome>(rig.hello(agent(1), {Role::agent, "n", "boot-1", {1, 2, 3}, false, {}}), agent(1));
  (void)only_answer<Refused>(rig.hello(agent(2), {Role::agent, "n", "boot-2", {1, 2, 3}, false, {}}), agent(2));
  (void)only_answer<Welcome>(rig.hello(agent(2), {Role::agent, "n", "boot-2", {1, 2}, false, {}}), agent(2));
}

TEST(Agents, ClaimAPodOnceHoweverOftenTheyNameIt) {
  Rig rig({.name = "b", .max_pods = 3});
  rig.everybody_says_hello(0);
  (void)only_answer<Welcome>(rig.hello(agent(1), {Role::agent, "n", "boot-1", {2, 1, 2, 1, 2}, false, {}}), agent(1));
  EXPECT_EQ(rig.broker().agents.at(0).pods, (std::vector<std::uint64_t>{1, 2}));
}

TEST(Agents, AloneOwnPods) {
  for (const Role role : {Role::relay, Role::client}) {
    Rig rig({.name = "b", .max_pods = 3});
    rig.everybody_says_hello(0);
    (void)rig.hello(agent(1), {Role::agent, "n", "boot-1", {1, 2, 3}, false, {}});
    (void)rig.hello(agent(2), {Role::agent, "n", "boot-2", {}, true, {}});
    (void)only_answer<Welcome>(rig.hello(PeerId("x"), {role, "x", "boot-1", {1, 2, 3, 4, 5}, false, {}}), PeerId("x"));
    (void)only_answer<Welcome>(rig.hello(PeerId("y"), {role, "y", "boot-2", {}, true, {}}), PeerId("y"));
    std::size_t agents = 0;
    for (const AgentStatus& row : rig.broker().agents) {
      agents += row.role == Role::agent ? 1 : 0;
      EXPECT_EQ(row.pods.empty(), row.name != "n" || row.whole_node) << row.name;
    }
    EXPECT_EQ(agents, 2U) << "neither was taken for one that has been restarted";
  }
}

TEST(Commands, ThatComeAndGoNeverShutAgentsOut) {
  Rig rig({.name = "b", .max_peers = 10});
  for (int i = 0; i < 50; ++i) {
    rig.sleep(milliseconds(1));
    EXPECT_EQ(rig.hello(PeerId("cli-" + std::to_string(i)), {}).lines().size(), 1U);
  }
  for (int i = 1; i <= 10; ++i) {
    const Hello hello{Role::agent, "n", "boot-1", {pod(i).netns_inode}, false, {}};
    (void)only_answer<Welcome>(rig.hello(agent(i), hello), agent(i));
  }
  (void)only_answer<Refused>(rig.hello(agent(11), {Role::agent, "n", "boot-1", {pod(11).netns_inode}, false, {}}), agent(11));
}

TEST(Owners, AreTheAgentThatNamesThePodElseTheNodesElseNobody) {
  const TimePoint now{};
  Directory directory;
  EXPECT_EQ(directory.owner_of(pod(1)), nullptr);
  directory.enter(PeerId("node"), {Role::agent, "node", "boot-1", {}, true, {}}, now);
  directory.enter(PeerId("relay"), {Role::relay, "relay", "boot-1", {1001}, true, {}}, now);
  EXPECT_EQ(directory.owner_of(pod(1))->id, PeerId("node")) << "a relay owns nothing";
  directory.enter(PeerId("sidecar"), {Role::agent, "sidecar", "boot-1", {1001}, false, {}}, now);
  EXPECT_EQ(directory.owner_of(pod(1))->id, PeerId("sidecar"));
  EXPECT_EQ(directory.owner_of(pod(2))->id, PeerId("node"));
  EXPECT_EQ(directory.owner_of({"boot-2", 1001}), nullptr) << "the same inode on another machine";
  directory.enter(PeerId("sidecar-2"), {Role::agent, "sidecar", "boot-1", {1001}, false, {}}, now);
  directory.remove(PeerId("sidecar"));
  EXPECT_EQ(directory.owner_of(pod(1))->id, PeerId("sidecar-2")) << "the newer claim stays";
  directory.remove(PeerId("sidecar-2"));
  EXPECT_EQ(directory.owner_of(pod(1))->id, PeerId("node"));
}

}  // namespace
}  // namespace lockstep::broker::test
