#include "broker/core/refusal_log.hpp"

#include <gtest/gtest.h>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker {
namespace {

class Refusals : public ::testing::Test {
 protected:
  /// What the log gets.
  std::string tell(const std::string& line) {
    log_.tell(line, now_, out_);
    return test::Actions{out_.take()}.log();
  }

  TimePoint now_{seconds(1'000)};
  Outbox out_;
  RefusalLog log_;
};

TEST_F(Refusals, TheSameOneIsToldOnceAMinute) {
  EXPECT_NE(tell("a").find("a"), std::string::npos);
  for (int i = 0; i < 5; ++i) {
    now_ += seconds(11);
    EXPECT_EQ(tell("a"), "");
  }
  now_ += seconds(11);
  const std::string again = tell("a");
  EXPECT_EQ(again.find("5 more refusals without a line for each"), 0U) << again;
  EXPECT_NE(again.find("\na"), std::string::npos) << again;
}

TEST_F(Refusals, ThatNobodyCouldReadAreCounted) {
  std::size_t told = 0;
  for (int i = 0; i < 1'000; ++i) told += tell("name " + std::to_string(i)).empty() ? 0 : 1;
  EXPECT_EQ(told, RefusalLog::kLines);
  now_ += RefusalLog::kPeriod;
  EXPECT_EQ(tell("one more").find("980 more refusals"), 0U);
  EXPECT_EQ(tell("and another").find("more refusals"), std::string::npos) << "said once";
}

}  // namespace
}  // namespace lockstep::broker
