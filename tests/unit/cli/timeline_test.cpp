#include "cli/timeline.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "cli/text_table.hpp"
#include "tests/unit/cli/samples.hpp"

namespace lockstep::cli {
namespace {

TEST(Timeline, DrawsADump) {
  EXPECT_EQ(draw_timeline(sample_dump(), {55, false}),
            "server  ------------++++++++####################@@@@@@@@@@=====\n"
            "client       ------------+++#########################@@@@@=====\n"
            "        100.0 ms                                       210.0 ms\n"
            "        - prepare  + frozen, locking  # dumping  @ waits for the others  = until unlocked\n");
}

TEST(Timeline, DrawsInUtf8) {
  const std::string picture = draw_timeline(sample_dump(), {55, true});
  EXPECT_NE(picture.find("──"), std::string::npos);
  EXPECT_NE(picture.find("▒▒"), std::string::npos);
  EXPECT_NE(picture.find("═ until unlocked"), std::string::npos);
  EXPECT_EQ(display_width(picture.substr(0, picture.find('\n'))), 8U + 55U);
}

TEST(Timeline, NamesARestoresStretches) {
  RoundStatus status = sample_dump();
  status.operation = Operation::restore;
  EXPECT_NE(draw_timeline(status, {}).find("restoring"), std::string::npos);
}

TEST(Timeline, IsEmptyWhereNothingHasHappened) {
  RoundStatus status;
  EXPECT_EQ(draw_timeline(status, {}), "");
  status.members = {fresh_member("a"), fresh_member("b")};
  EXPECT_EQ(draw_timeline(status, {}), "");
}

TEST(Timeline, EndsWhereAnAbortedRoundDid) {
  RoundStatus status = sample_dump();
  status.state = RoundState::aborted;
  for (auto& member : status.members) {
    member.phases[2] = member.phases[3] = PhaseTimes{};
    member.unlocked_us = 160'000;
  }
  status.members[1] = fresh_member("client");
  EXPECT_EQ(draw_timeline(status, {24, false}),
            "server  ----------++++++========\n"
            "client\n"
            "        100.0 ms        160.0 ms\n"
            "        - prepare  + frozen, locking  # dumping  @ waits for the others  = until unlocked\n");
}

TEST(Timeline, SurvivesNonsenseTimes) {
  RoundStatus status = sample_dump();
  status.members[0].phases[1].arrived_us = 5;
  status.members[0].phases[2].released_us = INT64_MAX / 256;
  status.members[1].unlocked_us = -77;
  EXPECT_FALSE(draw_timeline(status, {0, true}).empty());
}

TEST(Timeline, FollowsTheLocale) {
  ::setenv("LC_ALL", "C.UTF-8", 1);
  EXPECT_TRUE(locale_is_utf8());
  ::setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(locale_is_utf8());
  ::unsetenv("LC_ALL");
  ::setenv("LC_CTYPE", "en_GB.utf8", 1);
  EXPECT_TRUE(locale_is_utf8());
  ::unsetenv("LC_CTYPE");
}

TEST(TextTable, AlignsNumbersToTheRight) {
  TextTable table({"name", "ms"});
  table.add({"ä", "1.5"});
  table.add({"long name", "-"});
  table.add({"x", "123.0"});
  EXPECT_EQ(table.text(),
            "name          ms\n"
            "ä            1.5\n"
            "long name      -\n"
            "x          123.0\n");
}

TEST(TextTable, TakesRowsOfAnyLength) {
  TextTable table({"a", "b"});
  table.add({"1"});
  table.add({"2", "x", "too many"});
  EXPECT_EQ(table.text(), "a  b\n1\n2  x\n");
}

TEST(Printable, KeepsTerminalsSafe) {
  EXPECT_EQ(printable("a\033[2Jb\nc\td\x7f"), "a?[2Jb\nc?d?");
  EXPECT_EQ(printable("übel"), "übel");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

}  // namespace
}  // namespace lockstep::cli
