/// What is encoded comes back, whole.
#include <gtest/gtest.h>

#include <set>

#include "schemas/codec.hpp"
#include "tests/unit/schemas/samples.hpp"

namespace lockstep {
namespace {

using test::every_message;
using test::same;

class EveryMessage : public ::testing::TestWithParam<Message> {};

std::string name_of(const ::testing::TestParamInfo<Message>& info) { return std::string(type_name(info.param.body)); }

INSTANTIATE_TEST_SUITE_P(Types, EveryMessage, ::testing::ValuesIn(every_message()), name_of);

TEST_P(EveryMessage, ComesBackAsItWent) {
  const Message& sent = GetParam();
  const std::string bytes = encode(sent);
  const auto received = decode(bytes);
  ASSERT_TRUE(received) << received.error().message();
  EXPECT_EQ(received->round, sent.round);
  EXPECT_EQ(received->group, sent.group);
  EXPECT_EQ(received->member, sent.member);
  EXPECT_EQ(received->sequence, sent.sequence);
  ASSERT_EQ(received->body.index(), sent.body.index());
  std::visit(
      [&](const auto& body) { EXPECT_TRUE(same(body, std::get<std::decay_t<decltype(body)>>(received->body))); },
      sent.body);
  EXPECT_EQ(encode(*received), bytes);
}

TEST_P(EveryMessage, HasNoFieldThatTheSampleLeavesAtItsDefault) {
  std::visit([](const auto& body) { EXPECT_EQ(test::fields_at_default(body), 0); }, GetParam().body);
}

TEST_P(EveryMessage, ComesBackWithAllFieldsAtTheirDefaults) {
  Message blank;
  std::visit([&](const auto& body) { blank.body = std::decay_t<decltype(body)>{}; }, GetParam().body);
  const auto received = decode(encode(blank));
  ASSERT_TRUE(received) << received.error().message();
  EXPECT_EQ(encode(*received), encode(blank));
}

TEST(Messages, AreAllInTheSamplesAndHaveNamesOfTheirOwn) {
  const auto samples = every_message();
  ASSERT_EQ(samples.size(), std::variant_size_v<Body>);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(samples[i].body.index(), i);
    names.insert(type_name(samples[i].body));
  }
  EXPECT_EQ(names.size(), samples.size());
}

TEST(Messages, KeepTheirNumbersOnTheWire) {
  // A peer of an older build knows these numbers: types are appended, never reordered.
  EXPECT_EQ(Body(Hello{}).index(), 0U);
  EXPECT_EQ(Body(HookEvent{}).index(), 4U);
  EXPECT_EQ(Body(Release{}).index(), 7U);
  EXPECT_EQ(Body(Answer{}).index(), 20U);
  EXPECT_EQ(Body(History{}).index(), 22U);
  EXPECT_EQ(kProtocolVersion, 2);
}

TEST(Messages, OfAnOlderVersionAreReadFromADiskOnly) {
  // An OpenRound as version 1 wrote it: one member of six fields, and no order.
  const std::string old(
      "\x97\x01\x0a\xa1r\xa1g\xa0\x00"
      "\x96\x00\xc3\x91\x96\xa1m\x92\xa0\x00\xa0\xa0\x94\x00\x00\x00\x90\xc2"
      "\x94\x01\x02\x03\x04\xcd\x3a\x98\x94\x00\x00\x00\x90",
      40);
  EXPECT_FALSE(decode(old));
  const auto kept = decode(old, kOldestKeptVersion);
  ASSERT_TRUE(kept) << kept.error().message();
  const auto& plan = std::get<OpenRound>(kept->body);
  ASSERT_EQ(plan.members.size(), 1U);
  EXPECT_EQ(plan.members[0].id, MemberId("m"));
  EXPECT_EQ(plan.lease_ms, 15'000U);
  EXPECT_EQ(plan.order, MemberOrder::detect);
}

TEST(Words, AreThereForEveryValue) {
  std::set<std::string_view> actions;
  for (const HookAction action : {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump,
                                  HookAction::network_unlock, HookAction::pre_restore, HookAction::setup_namespaces,
                                  HookAction::post_restore}) {
    actions.insert(to_string(action));
    EXPECT_EQ(hook_action_from(to_string(action)), action);
  }
  EXPECT_EQ(actions.size(), 7U);
  for (const std::string_view passes : {"post-setup-namespaces", "pre-resume", "post-resume", "orphan-pts-master",
                                        "status-ready", "query-ext-files", "", "pre_dump", "PRE-DUMP"}) {
    EXPECT_EQ(hook_action_from(passes), std::nullopt) << passes;
  }
  EXPECT_EQ(to_string(TcpState::established), "established");
  EXPECT_EQ(to_string(TcpState::new_syn_recv), "new-syn-recv");
  EXPECT_EQ(to_string(static_cast<TcpState>(200)), "?");
}

TEST(Actions, BelongToTheirPhaseAndOperation) {
  struct Row {
    HookAction action;
    Phase phase;
    Operation operation;
  };
  for (const Row& row : {Row{HookAction::pre_dump, Phase::prepare, Operation::dump},
                         Row{HookAction::network_lock, Phase::lock, Operation::dump},
                         Row{HookAction::post_dump, Phase::commit, Operation::dump},
                         Row{HookAction::network_unlock, Phase::unlock, Operation::dump},
                         Row{HookAction::pre_restore, Phase::prepare, Operation::restore},
                         Row{HookAction::setup_namespaces, Phase::lock, Operation::restore},
                         Row{HookAction::post_restore, Phase::commit, Operation::restore}}) {
    EXPECT_EQ(phase_of(row.action), row.phase) << to_string(row.action);
    EXPECT_EQ(operation_of(row.action), row.operation) << to_string(row.action);
    for (const Operation operation : {Operation::dump, Operation::restore}) {
      const bool either = row.action == HookAction::network_unlock;
      EXPECT_EQ(belongs_to(row.action, operation), either || operation == row.operation) << to_string(row.action);
    }
  }
}

TEST(Phases, HaveThePlaceThatTheyComeAt) {
  for (const Operation operation : {Operation::dump, Operation::restore}) {
    for (std::size_t at = 0; at < kPhasesPerRound; ++at) EXPECT_EQ(place_of(phases_of(operation)[at]), at);
  }
}

}  // namespace
}  // namespace lockstep
