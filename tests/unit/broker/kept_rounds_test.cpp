/// Which rounds the broker remembers: kept_rounds and kept_members, as a table.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {
namespace {

struct Row {
  const char* name;
  std::size_t kept_rounds;
  std::size_t kept_members;
  /// In this order: "A3" opens round A, with three members, of a group of its own; "a" ends it.
  const char* story;
  const char* remembered;  ///< afterwards, newest first
};

class KeptRounds : public ::testing::TestWithParam<Row> {
 protected:
  void tell(const std::string& word) {
    const std::string letter(1, static_cast<char>(std::toupper(static_cast<unsigned char>(word[0]))));
    Message message{RoundId("r-" + letter), GroupId("g-" + letter), {}, 3, AbortRound{}};
    if (word.size() > 1) message.body = plan(Operation::dump, std::stoi(word.substr(1)));
    (void)rig_.say(kClient, message);
  }

  [[nodiscard]] std::string remembered() {
    std::string letters;
    for (const RoundSummary& round : rig_.broker().rounds) {
      letters += (letters.empty() ? "" : " ") + round.id.value.substr(2);
      EXPECT_NE(rig_.status(round.id).opened_unix_ms, 0) << round.id.value << " is listed, and not known";
    }
    return letters;
  }

  Rig rig_{{.name = "b", .kept_rounds = GetParam().kept_rounds, .kept_members = GetParam().kept_members}};
};

TEST_P(KeptRounds, AreTheNewestEndedOnesAndAllThatLive) {
  rig_.everybody_says_hello(0);
  std::istringstream story(GetParam().story);
  for (std::string word; story >> word;) tell(word);
  EXPECT_EQ(remembered(), GetParam().remembered);
}

constexpr std::array kRows{
    Row{"NothingIsForgottenWithinTheLimits", 3, 9, "A3 a B3 b C3 c", "C B A"},
    Row{"TheOldestGoesFirst", 2, 100, "A1 a B1 b C1 c D1 d", "D C"},
    Row{"TheOneThatEndsStaysBeforeANewerOne", 2, 100, "A1 B1 C1 c b a", "B A"},
    Row{"ALiveOneStays", 1, 100, "A1 B1 C1", "C B A"},
    Row{"ALiveOneKeepsNoOtherFromBeingForgotten", 2, 100, "A1 B1 b C1 c D1 d", "D A"},
    Row{"LiveOnesBeyondTheLimitStay", 1, 100, "A1 B1 C1 c D1 d", "D B A"},
    Row{"TheOneThatEndsStays", 1, 100, "A1 B1 b C1 c a", "A"},
    Row{"WithNoRoomForAnyTheLastOneStays", 0, 0, "A1 a B1 b", "B"},
    Row{"MembersCountAsWell", 100, 5, "A2 a B2 b C2 c", "C B"},
    Row{"OnlyAsManyGoAsHaveTo", 100, 6, "A2 a B2 b C2 c D1 d", "D C B"},
    Row{"ALargeRoundMakesManyGo", 100, 6, "A2 a B2 b C2 c D5 d", "D"},
    Row{"ALargeRoundStaysUntilTheNextHasEnded", 100, 6, "A9 a B1", "B A"},
    Row{"ALargeRoundGoesWithTheNext", 100, 6, "A9 a B1 b", "B"},
    Row{"MembersOfLiveRoundsCount", 100, 5, "A4 B1 b C1 c", "C A"},
    Row{"WhatWasForgottenDoesNotCountTwice", 100, 4, "A4 a B4 b C2 c D2 d", "D C"},
};

INSTANTIATE_TEST_SUITE_P(Table, KeptRounds, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace lockstep::broker::test
