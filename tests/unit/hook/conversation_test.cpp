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

constexpr TimePoint kBegin{std::chrono::hours(1)};
constexpr Patience kPatience{milliseconds(5'000), milliseconds(60'000), milliseconds(200)};

Conversation talk_of(HookAction action, std::string round) {
  HookEvent event;
  event.action = action;
  return {message(std::move(event), std::move(round)), kPatience, kBegin};
}

Conversation talk_in(HookAction action) { return talk_of(action, "r1"); }

bool says_in_doubt(const Conversation& talk) { return std::get<HookEvent>(talk.event().body).in_doubt; }

const Error kLost{ErrorCode::unavailable, 0, "wait for the agent", "it closed the connection"};

TEST(Conversation, WaitsWhileTheAgentIsAlive) {
  for (const HookAction action : kActions) {
    EXPECT_EQ(talk_in(action).on(message(Alive{}), kBegin).kind, Step::Kind::wait);
  }
}

TEST(Conversation, GoesWhereNoRecordIsNeeded) {
  for (const HookAction action : kActions) {
    const auto expected = action == HookAction::post_dump ? Step::Kind::abort : Step::Kind::go;
    EXPECT_EQ(talk_in(action).on(message(Answer{Verdict::go, ""}), kBegin).kind, expected) << to_string(action);
  }
}

TEST(Conversation, AbortsWithTheReason) {
  for (const HookAction action : kActions) {
    const Step step = talk_in(action).on(message(Answer{Verdict::abort, "member web: no space"}), kBegin);
    EXPECT_EQ(step.kind, Step::Kind::abort);
    EXPECT_EQ(step.reason, "round aborted: member web: no space");
  }
}

TEST(Conversation, StoresInPostDumpOnly) {
  for (const HookAction action : kActions) {
    const Step step = talk_in(action).on(message(Store{Blob{"bytes"}}), kBegin);
    const bool expected = action == HookAction::post_dump;
    EXPECT_EQ(step.kind, expected ? Step::Kind::store : Step::Kind::abort) << to_string(action);
    EXPECT_EQ(step.record, expected ? "bytes" : "");
  }
}

TEST(Conversation, CommitsOnlyWhatHasBeenStored) {
  Conversation talk = talk_in(HookAction::post_dump);
  EXPECT_EQ(talk.on(message(Store{Blob{"bytes"}}), kBegin).kind, Step::Kind::store);
  talk.stored(false);
  EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""}), kBegin).kind, Step::Kind::abort);
  talk.stored(true);
  EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""}), kBegin).kind, Step::Kind::go);
}

TEST(Conversation, RefusesAnEmptyRecord) {
  EXPECT_EQ(talk_in(HookAction::post_dump).on(message(Store{}), kBegin).kind, Step::Kind::abort);
}

TEST(Conversation, RefusesAnotherRoundsWord) {
  EXPECT_EQ(talk_in(HookAction::pre_dump).on(message(Answer{Verdict::go, ""}, "r2"), kBegin).kind, Step::Kind::abort);
  EXPECT_EQ(talk_in(HookAction::pre_dump).on(message(Answer{Verdict::go, ""}, ""), kBegin).kind, Step::Kind::go);
  Conversation stranger = talk_of(HookAction::pre_dump, "");
  EXPECT_EQ(stranger.on(message(Answer{Verdict::go, ""}, "r2"), kBegin).kind, Step::Kind::go);
}

TEST(Conversation, RefusesMessagesThatAreNotForHooks) {
  for (Body body :
       {Body(Hello{}), Body(Release{}), Body(Order{}), Body(Stored{}), Body(HookEvent{}), Body(Pending{})}) {
    EXPECT_EQ(talk_in(HookAction::post_dump).on(message(std::move(body)), kBegin).kind, Step::Kind::abort);
  }
}

TEST(Conversation, FailsWhenTheAgentIsLostBeforeTheVote) {
  for (const HookAction action : kActions) {
    if (action == HookAction::post_restore) continue;
    Conversation lost = talk_in(action);
    const Step step = lost.on_lost(kLost, kBegin);
    EXPECT_EQ(step.kind, Step::Kind::abort) << to_string(action);
    EXPECT_NE(step.reason.find("it closed the connection"), std::string::npos);

    Conversation silent = talk_in(action);
    EXPECT_EQ(silent.on_time(kBegin + milliseconds(4'999)).kind, Step::Kind::wait);
    EXPECT_EQ(silent.on(message(Alive{}), kBegin + milliseconds(4'999)).kind, Step::Kind::wait);
    EXPECT_EQ(silent.on_time(kBegin + milliseconds(9'998)).kind, Step::Kind::wait);
    EXPECT_EQ(silent.on_time(kBegin + milliseconds(9'999)).kind, Step::Kind::abort) << to_string(action);
  }
}

TEST(Conversation, LooksForTheVerdictOnceItMayHaveVoted) {
  Conversation dump = talk_in(HookAction::post_dump);
  EXPECT_EQ(dump.on(message(Store{Blob{"bytes"}}), kBegin).kind, Step::Kind::store);
  dump.stored(true);
  for (Conversation talk : {dump, talk_in(HookAction::post_restore)}) {
    EXPECT_FALSE(says_in_doubt(talk));
    EXPECT_EQ(talk.on_lost(kLost, kBegin).kind, Step::Kind::wait);
    EXPECT_TRUE(says_in_doubt(talk));
    EXPECT_EQ(talk.deadline(), kBegin + milliseconds(200));
    EXPECT_EQ(talk.on_time(talk.deadline()).kind, Step::Kind::connect);
    // Nobody there; then somebody who says nothing; then somebody who knows.
    EXPECT_EQ(talk.on_lost(kLost, kBegin + milliseconds(200)).kind, Step::Kind::wait);
    EXPECT_EQ(talk.on_time(kBegin + milliseconds(400)).kind, Step::Kind::connect);
    EXPECT_EQ(talk.deadline(), kBegin + milliseconds(5'400));
    EXPECT_EQ(talk.on_time(kBegin + milliseconds(5'400)).kind, Step::Kind::connect);
    EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""}), kBegin + milliseconds(5'500)).kind, Step::Kind::go);
  }
}

TEST(Conversation, LearnsItsNamesFromWhatItHears) {
  HookEvent event;
  event.action = HookAction::post_restore;
  Conversation talk({{}, {}, {}, 1, std::move(event)}, kPatience, kBegin);
  EXPECT_EQ(talk.on(message(Alive{}, "r2"), kBegin).kind, Step::Kind::wait);
  EXPECT_EQ(talk.on_lost(kLost, kBegin).kind, Step::Kind::wait);
  EXPECT_EQ(talk.event().round, RoundId("r2")) << "whoever is asked next has to know which round it is about";
  EXPECT_EQ(talk.event().group, GroupId("shop"));
  EXPECT_EQ(talk.event().member, MemberId("db"));
  EXPECT_EQ(talk.on(message(Answer{Verdict::go, ""}, "r3"), kBegin).kind, Step::Kind::abort);
}

TEST(Conversation, IsNotInDoubtBeforeTheRecordIsThere) {
  Conversation talk = talk_in(HookAction::post_dump);
  EXPECT_EQ(talk.on(message(Store{Blob{"bytes"}}), kBegin).kind, Step::Kind::store);
  talk.stored(false);
  EXPECT_EQ(talk.on_lost(kLost, kBegin).kind, Step::Kind::abort);
}

TEST(Conversation, TheLimitEndsEveryWait) {
  Conversation talk = talk_in(HookAction::post_restore);
  for (TimePoint now = kBegin; now < kBegin + kPatience.limit; now = talk.deadline()) {
    const Step step = talk.on_time(now);
    ASSERT_NE(step.kind, Step::Kind::abort);
    if (step.kind == Step::Kind::connect) (void)talk.on_lost(kLost, now);
  }
  EXPECT_EQ(talk.deadline(), kBegin + kPatience.limit);
  EXPECT_EQ(talk.on_time(talk.deadline()).kind, Step::Kind::abort);
}

}  // namespace
}  // namespace lockstep::hook
