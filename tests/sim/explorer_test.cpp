#include "tests/sim/explorer.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace lockstep::sim {
namespace {

class EveryOrder : public testing::TestWithParam<Operation> {};

TEST_P(EveryOrder, OfACommitWithOneCrashHasOneEnd) {
  const Exploration found = explore_commit(GetParam(), 2);
  std::string trace;
  for (const std::string& line : found.trace) trace += line + "\n";
  EXPECT_FALSE(found.broken) << found.broken.value_or("") << "\n" << trace;
  EXPECT_GT(found.committed, 0U) << "the crash comes too late to matter somewhere";
  EXPECT_LT(found.committed, found.ends) << "and in time elsewhere";
  std::printf("%d states, %d ends, %d of them committed\n", static_cast<int>(found.states),
              static_cast<int>(found.ends), static_cast<int>(found.committed));
}

INSTANTIATE_TEST_SUITE_P(Operations, EveryOrder, testing::Values(Operation::dump, Operation::restore),
                         [](const auto& test) { return std::string(to_string(test.param)); });

}  // namespace
}  // namespace lockstep::sim
