/// Real applications come back with every connection and every acknowledged write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "tests/e2e/apps/own_namespaces.hpp"
#include "tests/e2e/apps/scene.hpp"
#include "tests/e2e/harness/reaper.hpp"

namespace lockstep::apps {

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.tag(); }

namespace {

using ::testing::IsEmpty;

constexpr int kCycles = 3;

class Apps : public ::testing::TestWithParam<Kind> {
 protected:
  static void SetUpTestSuite() { (void)e2e::Reaper::instance(); }
  void TearDown() override { e2e::Reaper::instance().end_all(); }
};

TEST_P(Apps, KilledAndRestoredThreeTimes) {
  Scene scene(GetParam());
  for (int cycle = 1; cycle <= kCycles; ++cycle) {
    ASSERT_THAT(scene.kill_and_restore(), IsEmpty()) << "cycle " << cycle;
  }
  EXPECT_THAT(scene.finish(), IsEmpty());
}

TEST_P(Apps, LeftRunning) {
  Scene scene(GetParam());
  for (int cycle = 1; cycle <= kCycles; ++cycle) {
    ASSERT_THAT(scene.leave_running(), IsEmpty()) << "cycle " << cycle;
  }
  EXPECT_THAT(scene.finish(), IsEmpty());
}

TEST_P(Apps, RolledBackAfterItHasGoneOn) {
  Scene scene(GetParam());
  ASSERT_THAT(scene.roll_back(), IsEmpty());
  EXPECT_THAT(scene.finish(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, Apps, ::testing::ValuesIn(kinds()), [](const auto& each) { return each.param.tag(); });

}  // namespace
}  // namespace lockstep::apps

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  // The build asks for the tests' names, and need not be root.
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  return lockstep::apps::in_own_namespaces([] { return RUN_ALL_TESTS(); });
}
