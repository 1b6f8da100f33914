/// The state machine that holds votes back: every (state, event).
#include "broker/core/command_hold.hpp"

#include <gtest/gtest.h>

namespace lockstep::broker {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

TEST(ACommandHold, WithoutCommandsIsDone) {
  CommandHold hold({false, false});
  EXPECT_TRUE(hold.done());
  EXPECT_FALSE(hold.arrived(0, kNow));
  EXPECT_FALSE(hold.succeeded(0, kNow));
  EXPECT_EQ(hold.deadline(), std::nullopt);
}

TEST(ACommandHold, RunsWhenTheLastMemberHasCome) {
  CommandHold hold({true, false, false});
  EXPECT_FALSE(hold.arrived(2, kNow));
  EXPECT_FALSE(hold.arrived(0, kNow));
  EXPECT_FALSE(hold.arrived(0, kNow)) << "said again";
  EXPECT_FALSE(hold.running());
  EXPECT_EQ(hold.deadline(), std::nullopt) << "nobody is asked yet";
  EXPECT_TRUE(hold.arrived(1, kNow));
  EXPECT_TRUE(hold.running());
  EXPECT_FALSE(hold.arrived(1, kNow)) << "the client is told once";
}

TEST(ACommandHold, IsDoneWithTheLastSuccess) {
  CommandHold hold({true, false, true});
  for (std::size_t place = 0; place < 3; ++place) (void)hold.arrived(place, kNow);
  EXPECT_FALSE(hold.succeeded(0, kNow));
  EXPECT_FALSE(hold.succeeded(0, kNow)) << "said again";
  EXPECT_FALSE(hold.succeeded(1, kNow)) << "has no commands";
  EXPECT_FALSE(hold.done());
  EXPECT_TRUE(hold.succeeded(2, kNow));
  EXPECT_TRUE(hold.done());
  EXPECT_EQ(hold.deadline(), std::nullopt);
}

TEST(ACommandHold, DoesNotCountASuccessThatComesTooEarly) {
  CommandHold hold({true});
  EXPECT_FALSE(hold.succeeded(0, kNow));
  EXPECT_TRUE(hold.arrived(0, kNow));
  EXPECT_FALSE(hold.done());
}

TEST(ACommandHold, WaitsForAClientThatIsHeard) {
  CommandHold hold({true});
  hold.heard(kNow - seconds(9));
  (void)hold.arrived(0, kNow);
  EXPECT_EQ(hold.deadline(), kNow + kClientSilence);
  hold.heard(kNow + seconds(3));
  EXPECT_EQ(hold.deadline(), kNow + seconds(3) + kClientSilence);
}

}  // namespace
}  // namespace lockstep::broker
