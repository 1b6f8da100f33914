/// Whoever judges whether writes were lost has to see it when they are.
#include "tests/e2e/apps/ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/e2e/apps/client/ledger_file.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Compare, WhatWasAcknowledgedAndFoundOnceIsWell) {
  EXPECT_THAT(compare("server", 7, 3, {1, 2, 3}), IsEmpty());
  EXPECT_THAT(compare("server", 7, 3, {3, 1, 2}), IsEmpty());  // a table has no order
  EXPECT_THAT(compare("server", 7, 0, {}), IsEmpty());
}

TEST(Compare, SeesWhatIsLostDoubledAndMadeUp) {
  EXPECT_THAT(compare("server", 7, 3, {1, 3}), ElementsAre(HasSubstr("1 are lost, 0 doubled, and 0 were never")));
  EXPECT_THAT(compare("server", 7, 3, {}), ElementsAre(HasSubstr("3 are lost")));
  EXPECT_THAT(compare("server", 7, 3, {1, 2, 2, 3}), ElementsAre(HasSubstr("0 are lost, 1 doubled, and 0 were never")));
  EXPECT_THAT(compare("server", 7, 3, {1, 2, 3, 4}), ElementsAre(HasSubstr("0 are lost, 0 doubled, and 1 were never")));
  EXPECT_THAT(compare("server", 7, 3, {0, 1, 2, 3}), ElementsAre(HasSubstr("1 were never")));
  EXPECT_THAT(compare("server", 7, 3, {1}), ElementsAre(HasSubstr("server: connection 7: of 3 acknowledged writes")));
}

class LedgerTest : public ::testing::Test {
 protected:
  void append(const LedgerEntry& entry) const {
    std::ofstream file(path_, std::ios::binary | std::ios::app);
    file.write(reinterpret_cast<const char*>(&entry), sizeof entry);
  }

  test::TempDir dir_;
  std::string path_ = dir_.path() + "/ledger";
  Ledger ledger_{"client", path_};
};

TEST_F(LedgerTest, ReadsWhatTheClientWrites) {
  LedgerFile file(path_);
  file.append(0, 1);
  file.append(4, 1);
  ledger_.read();
  file.append(4, 2);
  ledger_.read();
  EXPECT_EQ(ledger_.entries(), 3U);
  EXPECT_THAT(ledger_.last(), ElementsAre(std::pair(0U, 1U), std::pair(4U, 2U)));
  EXPECT_THAT(ledger_.faults(), IsEmpty());
}

TEST_F(LedgerTest, IsEmptyBeforeItsFileIsThere) {
  ledger_.read();
  EXPECT_EQ(ledger_.entries(), 0U);
}

TEST_F(LedgerTest, NumbersThatDoNotFollowOneAnotherAreFaults) {
  for (const std::uint32_t sequence : {1U, 2U, 4U, 4U, 3U}) append({9, sequence, 1});
  ledger_.read();
  EXPECT_THAT(ledger_.faults(),
              ElementsAre(HasSubstr("connection 9: 4 was acknowledged after 2"),
                          HasSubstr("4 was acknowledged after 4"), HasSubstr("3 was acknowledged after 4")));
}

TEST_F(LedgerTest, AConnectionThatDoesNotBeginWithOneIsAFault) {
  append({0, 2, 1});
  ledger_.read();
  EXPECT_THAT(ledger_.faults(), ElementsAre(HasSubstr("2 was acknowledged after 0")));
}

TEST_F(LedgerTest, HalfAnEntryWaitsForItsOtherHalf) {
  append({0, 1, 1});
  append({0, 2, 2});
  std::filesystem::resize_file(path_, 24);
  ledger_.read();
  EXPECT_EQ(ledger_.entries(), 1U);
  std::filesystem::resize_file(path_, 16);
  append({0, 2, 2});
  ledger_.read();
  EXPECT_EQ(ledger_.entries(), 2U);
  EXPECT_THAT(ledger_.faults(), IsEmpty());
}

TEST_F(LedgerTest, PausesAreThoseOfOneConnection) {
  append({0, 1, 1'000});
  append({1, 1, 9'000});
  append({0, 2, 6'000});
  append({1, 2, 10'000});
  ledger_.read();
  EXPECT_EQ(ledger_.longest_pause().count(), 5'000);
  ledger_.forget_pauses();
  append({0, 3, 8'000});
  ledger_.read();
  EXPECT_EQ(ledger_.longest_pause().count(), 2'000);
}

TEST_F(LedgerTest, AfterARollbackItBeginsAnew) {
  for (std::uint32_t sequence = 1; sequence <= 5; ++sequence) append({0, sequence, sequence});
  ledger_.read();
  std::filesystem::resize_file(path_, 2 * sizeof(LedgerEntry));
  ledger_.begin_anew();
  ledger_.read();
  EXPECT_THAT(ledger_.last(), ElementsAre(std::pair(0U, 2U)));
  append({0, 3, 9});
  ledger_.read();
  EXPECT_EQ(ledger_.entries(), 3U);
  EXPECT_THAT(ledger_.faults(), IsEmpty());
}

}  // namespace
}  // namespace lockstep::apps
