#include "agent/hook/conversation.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace lockstep::hook {
namespace {

constexpr HookAction kActions[] = {HookAction::pre_dump,       HookAction::network_lock, HookAction::post_dump,
                                   HookAction::network_unlock, HookAction::pre_restore,  HookAction::setup_namespaces,
                                   HookAction::post_restore};

Message message(Body body, std::string round = "r1") {
  return Message{RoundId(std::move(round)), GroupId("shop"), MemberId("db"), 1, std::move(body)};
}

Conversation talk_in(HookAction action) { return {action, RoundId("r1")}; }

TEST(Conversation, WaitsWhileTheAgentIsAlive) {
  for (const HookAction action : kActions) {
    EXPECT_EQ(talk_in(action).on(message(Alive{})).kind, Step::Kind::wait);
  }
}

TEST(Conversation, GoesWhereNoRecordIsNeeded) {
  for (const HookAction action : kActions) {
    const auto expected = action == HookAction::post_dump ? Step::Kind::abort : Step::Kind::go;
    EXPECT_EQ(talk_in(action).on(message(Answer{Verdict::go, ""})).kind, expected) << to_string(action);
  }
}

TEST(Conversation, AbortsWithTheReason) {
  for (const HookAction action : kActions) {
    const Step step = talk_in(action).on(message(Answer{Verdict::abort, "member web: no space"}));
    EXPECT_EQ(step.kind, Step::Kind::abort);
    EXPECT_EQ(step.reason, "round aborted: member web: no space");
  }
}

TEST(Conversation, StoresInPostDumpOnly) {
  for (const HookAction action : kActions) {
    const Step step = talk_in(action).on(message(Store{Blob{"bytes"}}));
    const bool expected = action == HookAction::post_dump;
    EXPECT_EQ(step.kind, expected ? Step::Kind::store : Step::Kind::abort) << to_string(action);
    EXPECT_EQ(step.record, expected ? "bytes" : "");
  }
}

TEST(Conversation, CommitsOnlyWhatHasBeenStored) {
  Conversation talk = talk_in(HookAction::post_dump);
  EXPECT_EQ(talk.on(message(Store{Blob{"bytes"}})).kind, Step::Kind::store);
  talk.stored(false);
  EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""})).kind, Step::Kind::abort);
  talk.stored(true);
  EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""})).kind, Step::Kind::go);
}

TEST(Conversation, RefusesAnEmptyRecord) {
  EXPECT_EQ(talk_in(HookAction::post_dump).on(message(Store{})).kind, Step::Kind::abort);
}

TEST(Conversation, RefusesAnotherRoundsWord) {
  EXPECT_EQ(talk_in(HookAction::pre_dump).on(message(Answer{Verdict::go, ""}, "r2")).kind, Step::Kind::abort);
  EXPECT_EQ(talk_in(HookAction::pre_dump).on(message(Answer{Verdict::go, ""}, "")).kind, Step::Kind::go);
  Conversation stranger(HookAction::pre_dump, RoundId());
  EXPECT_EQ(stranger.on(message(Answer{Verdict::go, ""}, "r2")).kind, Step::Kind::go);
}

TEST(Conversation, RefusesMessagesThatAreNotForHooks) {
  for (Body body :
       {Body(Hello{}), Body(Release{}), Body(Order{}), Body(Stored{}), Body(HookEvent{}), Body(Pending{})}) {
    EXPECT_EQ(talk_in(HookAction::post_dump).on(message(std::move(body))).kind, Step::Kind::abort);
  }
}

}  // namespace
}  // namespace lockstep::hook
