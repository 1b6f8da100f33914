/// Ranges of seeds, in parts of their own so that ctest runs them side by side; and that a seed gives one run.
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace lockstep::sim {
namespace {

constexpr std::uint64_t kSeedsOfAPart = 9'000;  ///< some 28,000 rounds
constexpr std::size_t kLinesOfAReport = 120;

class Seeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeds, BreakNoRule) {
  const Sweep result = sweep(GetParam() * kSeedsOfAPart, (GetParam() + 1) * kSeedsOfAPart, 0);
  if (result.failed) FAIL() << report(*result.failed, 0, kLinesOfAReport);
  // Faults that always or never hinder a round would test little.
  EXPECT_GT(result.sum.committed, result.sum.faulty / 4);
  EXPECT_LT(result.sum.committed, result.sum.faulty * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Part, Seeds, testing::Range<std::uint64_t>(0, 4));

TEST(ASeed, GivesTheSameRunAgain) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Trace first;
    Trace second;
    first.wanted = second.wanted = true;
    (void)run_seed(seed, 0, first);
    (void)run_seed(seed, 0, second);
    ASSERT_EQ(first.lines(), second.lines()) << "seed " << seed;
  }
}

TEST(ASeed, MayHaveManyMembers) {
  const Sweep result = sweep(0, 100, 12);
  if (result.failed) FAIL() << report(*result.failed, 12, kLinesOfAReport);
}

}  // namespace
}  // namespace lockstep::sim
