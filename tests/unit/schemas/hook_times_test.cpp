#include "schemas/hook_times.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::string_view kLine =
    "(lockstep-hook) network-lock: forked at 1234567890 us, said after 912 us, heard after 3300 us, ended after 3411 "
    "us\n";

TEST(HookTimes, AreALineOfTheLog) {
  const HookTimes times{HookAction::network_lock, microseconds(1'234'567'890), microseconds(912), microseconds(3300),
                        microseconds(3411)};
  EXPECT_EQ(to_log_line(times), kLine);
  for (const std::string_view line : {kLine, kLine.substr(0, kLine.size() - 1)}) {
    const auto read = parse_log_line(line);
    ASSERT_TRUE(read) << line;
    EXPECT_EQ(read->action, times.action);
    EXPECT_EQ(read->forked, times.forked);
    EXPECT_EQ(read->said, times.said);
    EXPECT_EQ(read->heard, times.heard);
    EXPECT_EQ(read->ended, times.ended);
  }
}

TEST(HookTimes, AreInNoOtherLine) {
  for (const char* line : {
           "",
           "\n",
           "(lockstep-hook) ",
           "(lockstep-hook) network-lock",
           "lockstep-hook: network-lock: round aborted: no",
           "(00.012345) Warn  (criu/x.c:1): network-lock: forked at 1 us, said after 1 us, heard after 2 us, ended "
           "after 3 us",
           "(lockstep-hook) launch: forked at 1 us, said after 1 us, heard after 2 us, ended after 3 us",
           "(lockstep-hook) post-dump: forked at 1 us, said after -1 us, heard after 2 us, ended after 3 us",
           "(lockstep-hook) post-dump: forked at 1 us, said after 1 us, heard after 2 us, ended after 3 us and more",
           "(lockstep-hook) post-dump: forked at 1 us, said after 1 us, heard after 2 us",
           "(lockstep-hook) post-dump: forked at 1 us, said after 3 us, heard after 2 us, ended after 3 us",
           "(lockstep-hook) post-dump: forked at 1 us, said after 1 us, heard after 4 us, ended after 3 us",
           "(lockstep-hook) post-dump: forked at 99999999999999999999 us, said after 1 us, heard after 2 us, ended "
           "after 3 us",
       }) {
    EXPECT_FALSE(parse_log_line(line)) << line;
  }
}

}  // namespace
}  // namespace lockstep
