/// Who may say what: the whole table, and which machine an agent's key speaks for.
#include "broker/core/permissions.hpp"

#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker {
namespace {

Identity of_agent(const std::string& node, const std::string& boot = {}) {
  return identity_of({"key-" + node, KeyRole::agent, node, boot, "public part of " + node});
}
const Identity kOperator = identity_of({"op", KeyRole::operator_, {}, {}, "P-op"});
const Identity kObserver = identity_of({"ob", KeyRole::observer, {}, {}, "P-ob"});

Hello hello(Role role, const std::string& boot = "boot-1") { return {role, "peer", boot, {}, false, {}}; }

TEST(Permissions, AreWhatTheTableSays) {
  struct Row {
    Body body;
    bool agent;
    bool operates;
    bool observes;
  };
  const std::vector<Row> table{
      {hello(Role::agent), true, false, false}, {hello(Role::relay), true, false, false},
      {hello(Role::client), false, true, true}, {Heartbeat{}, true, true, true},
      {HookEvent{}, true, false, false},        {HookGone{}, true, false, false},
      {CriuGone{}, true, false, false},         {Ready{}, true, false, false},
      {OpenRound{}, false, true, false},        {AbortRound{}, false, true, false},
      {MemberResult{}, false, true, false},     {CommandReport{}, false, true, false},
      {GetRound{}, false, true, true},
      {GetStatus{}, false, true, true},         {GetHistory{}, false, true, true},
  };
  for (const Row& row : table) {
    const std::string what(type_name(row.body));
    EXPECT_EQ(!refusal(of_agent("n"), row.body), row.agent) << what;
    EXPECT_EQ(!refusal(kOperator, row.body), row.operates) << what;
    EXPECT_EQ(!refusal(kObserver, row.body), row.observes) << what;
    EXPECT_FALSE(refusal(Identity{}, row.body)) << what << ": root of this machine may say everything";
    EXPECT_TRUE(refusal(stranger("Z", ""), row.body)) << what;
  }
}

TEST(Permissions, AClientsHelloClaimsNothing) {
  Hello of_a_pod = hello(Role::client);
  of_a_pod.pods = {7};
  Hello of_a_node = hello(Role::client);
  of_a_node.whole_node = true;
  Hello of_a_round = hello(Role::client);
  of_a_round.found_rounds = {RoundId("r")};
  for (const Hello& claim : {of_a_pod, of_a_node, of_a_round}) {
    EXPECT_TRUE(refusal(kObserver, claim));
    EXPECT_TRUE(refusal(kOperator, claim));
    EXPECT_FALSE(refusal(Identity{}, claim));
  }
}

TEST(Permissions, ARefusalNamesTheKeyAndTheReason) {
  EXPECT_EQ(refusal(kObserver, AbortRound{}),
            "key ob is an observer's: it may read rounds, not open, abort or report on them");
  EXPECT_EQ(refusal(stranger("Z", "web-1 (revoked)"), Heartbeat{}),
            "key web-1 (revoked) is not in the broker's allow-list any more");
}

TEST(NodeBook, KeepsTheBootOfOneNodeFromAnother) {
  NodeBook book;
  EXPECT_FALSE(book.claim(of_agent("a"), "boot-a"));
  EXPECT_FALSE(book.claim(of_agent("a"), "boot-a")) << "a second agent of that machine";
  EXPECT_FALSE(book.claim(of_agent("b"), "boot-b"));
  EXPECT_TRUE(book.claim(of_agent("b"), "boot-a"));
  EXPECT_FALSE(book.speak_of(of_agent("a"), "boot-a"));
  EXPECT_TRUE(book.speak_of(of_agent("b"), "boot-a"));
  EXPECT_TRUE(book.speak_of(of_agent("c"), "boot-c")) << "which has never said Hello";
  EXPECT_FALSE(book.speak_of(of_agent("b"), "")) << "of no machine in particular";
  EXPECT_FALSE(book.speak_of(Identity{}, "boot-a"));
}

TEST(NodeBook, FollowsAMachineThatWasRebooted) {
  NodeBook book;
  EXPECT_FALSE(book.claim(of_agent("a"), "boot-1"));
  EXPECT_FALSE(book.claim(of_agent("a"), "boot-2"));
  EXPECT_TRUE(book.speak_of(of_agent("a"), "boot-1"));
  EXPECT_FALSE(book.claim(of_agent("b"), "boot-1")) << "nobody's any more";
}

TEST(NodeBook, HoldsAKeyToTheBootThatItNames) {
  NodeBook book;
  EXPECT_TRUE(book.claim(of_agent("a", "boot-1"), "boot-2"));
  EXPECT_FALSE(book.claim(of_agent("a", "boot-1"), "boot-1"));
}

/// The core with peers that have keys.
class Keyed : public ::testing::Test {
 protected:
  test::Actions say(const PeerId& from, const Identity& who, Body body, std::uint64_t sequence = 5) {
    core_.on_message(from, Message{test::kRound, test::kGroup, test::member(1), sequence, std::move(body)}, now_, out_,
                     who);
    return {out_.take()};
  }
  std::string refused(const PeerId& from, const Identity& who, Body body) {
    const auto answers = say(from, who, std::move(body)).sent_to(from);
    if (answers.empty()) return "nothing was said";
    const auto* refused = std::get_if<Refused>(&answers.back().body);
    return refused == nullptr ? "taken" : refused->reason;
  }
  Counters counters() {
    (void)say(PeerId("root"), {}, hello(Role::client));
    const auto answers = say(PeerId("root"), {}, GetStatus{}).sent_to(PeerId("root"));
    return std::get<BrokerStatus>(answers.back().body).counters;
  }

  TimePoint now_{std::chrono::hours(1)};
  MemoryJournal journal_;
  BrokerCore core_{{.name = "b"}, journal_, now_, 0};
  Outbox out_;
  const PeerId a_{"a"};
  const PeerId b_{"b"};
};

TEST_F(Keyed, AnAgentClaimsItsOwnNodeOnly) {
  EXPECT_EQ(refused(a_, of_agent("a"), hello(Role::agent, "boot-1")), "taken");
  EXPECT_NE(refused(b_, of_agent("b"), hello(Role::agent, "boot-1")).find("is claimed by the key of node a"),
            std::string::npos);
  EXPECT_EQ(refused(b_, of_agent("b"), hello(Role::agent, "boot-2")), "taken");
  HookEvent event;
  event.pod = {"boot-1", 7};
  EXPECT_NE(refused(b_, of_agent("b"), event).find("another machine"), std::string::npos);
  EXPECT_EQ(counters().forbidden, 2U);
}

TEST_F(Keyed, AnAgentSpeaksForNoMemberOfAnotherNode) {
  (void)say(a_, of_agent("a"), hello(Role::agent, "boot-1"));
  (void)say(b_, of_agent("b"), hello(Role::agent, "boot-2"));
  (void)say(PeerId("root"), {}, hello(Role::client));
  OpenRound open;
  open.members.push_back({test::member(1), {"boot-1", 7}, {}, {}});
  (void)say(PeerId("root"), {}, open);
  for (const Body& body : {Body(Ready{Phase::prepare, false, "no", {}, {}}), Body(HookGone{}),
                           Body(HookEvent{.action = HookAction::network_unlock,
                           .pod = {"boot-2", 7},
                           .container = {},
                           .socket_inodes = {},
                           .record = {}})}) {
    EXPECT_NE(refused(b_, of_agent("b"), body).find("another machine"), std::string::npos) << type_name(body);
  }
  const auto answers = say(PeerId("root"), {}, GetRound{}).sent_to(PeerId("root"));
  EXPECT_EQ(std::get<RoundStatus>(answers.back().body).state, RoundState::open) << "none of it has touched the round";
}

TEST_F(Keyed, ARoutingIdIsNotAnIdentity) {
  (void)say(a_, of_agent("a"), hello(Role::agent, "boot-1"));
  // Whoever connects chooses its routing id: an operator that takes an agent's gets nothing of it.
  const auto answers = say(a_, kOperator, GetStatus{}).sent_to(a_);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(std::get<Refused>(answers[0].body).say_hello);
}

TEST_F(Keyed, ARevokedKeyLosesWhatItCarries) {
  (void)say(a_, of_agent("a"), hello(Role::agent, "boot-1"));
  (void)say(PeerId("root"), {}, hello(Role::client));
  OpenRound open;
  open.members.push_back({test::member(1), {"boot-1", 7}, {}, {}});
  (void)say(PeerId("root"), {}, open);
  (void)say(a_, of_agent("a"),
            HookEvent{.action = HookAction::pre_dump,
                      .pod = {"boot-1", 7},
                      .criu_pid = 9,
                      .criu_start = 9,
                      .root_pid = 9,
                      .container = {},
                      .socket_inodes = {},
                      .record = {}});
  core_.on_revoked({of_agent("a")}, {}, now_, out_);
  const test::Actions actions{out_.take()};
  EXPECT_NE(actions.log().find("key key-a counts no more"), std::string::npos) << actions.log();
  const auto answers = say(PeerId("root"), {}, GetRound{}).sent_to(PeerId("root"));
  EXPECT_EQ(std::get<RoundStatus>(answers.back().body).state, RoundState::aborted);
  EXPECT_NE(refused(a_, stranger("P", "key-a (revoked)"), Heartbeat{}).find("allow-list"), std::string::npos);
  EXPECT_EQ(counters().forbidden, 1U);
}

TEST_F(Keyed, ARevokedKeysMachineCanBeClaimedByTheKeyThatNamesTheRightNode) {
  EXPECT_EQ(refused(a_, of_agent("tpyo"), hello(Role::agent, "boot-1")), "taken");
  EXPECT_EQ(refused(b_, of_agent("b"), hello(Role::agent, "boot-2")), "taken");
  core_.on_revoked({of_agent("tpyo")}, {"tpyo", "b"}, now_, out_);
  EXPECT_NE(refused(a_, of_agent("typo"), hello(Role::agent, "boot-1")).find("claimed"), std::string::npos)
      << "its node has another key";
  core_.on_revoked({of_agent("tpyo")}, {"b"}, now_, out_);
  EXPECT_EQ(refused(a_, of_agent("typo"), hello(Role::agent, "boot-1")), "taken");
  EXPECT_NE(refused(a_, of_agent("typo"), hello(Role::agent, "boot-2")).find("claimed"), std::string::npos);
}

TEST_F(Keyed, WhoIsTurnedAwayAgainAndAgainIsCountedAndToldOnce) {
  std::string log;
  for (int i = 0; i < 5; ++i) {
    core_.on_turned_away("a peer without a key", now_, out_);
    log += test::Actions{out_.take()}.log();
  }
  EXPECT_EQ(log.find("a peer without a key"), log.rfind("a peer without a key")) << log;
  EXPECT_EQ(counters().unauthenticated, 5U);
  now_ += seconds(61);
  core_.on_turned_away("a peer without a key", now_, out_);
  EXPECT_NE(test::Actions{out_.take()}.log().find("turned away: a peer without a key"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::broker
