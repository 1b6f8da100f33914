/// The journal's file: what it keeps over a restart, and what it does when it can't.
#include "broker/journal_db.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

class JournalDbTest : public ::testing::Test {
 protected:
  static JournalRound round(int number) {
    JournalRound begin{RoundId("r" + std::to_string(number)), GroupId(number % 2 == 0 ? "even" : "odd"), {}, 1000 + number,
                       false};
    begin.plan.members.push_back({MemberId("m"), {"boot", 42}, "/run/netns/a", "c0ffee", {}});
    return begin;
  }
  static Message ended(const JournalRound& begin, RoundState state, const std::string& reason = {}) {
    RoundStatus status;
    status.state = state;
    status.reason = reason;
    status.opened_unix_ms = begin.opened_unix_ms;
    return Message{begin.id, begin.group, {}, 0, status};
  }
  std::unique_ptr<JournalDb> open() {
    auto journal = JournalDb::create(path_, 3);
    EXPECT_TRUE(journal) << journal.error().message();
    return journal ? std::move(*journal) : nullptr;
  }
  void overwrite(std::streamoff offset, const std::string& bytes) const {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file << bytes;
  }

  lockstep::test::TempDir dir_;
  std::string path_ = dir_ / "sub/journal.db";
};

TEST_F(JournalDbTest, KeepsRoundsOverARestart) {
  {
    const auto journal = open();
    ASSERT_TRUE(journal->open(round(1)));
    ASSERT_TRUE(journal->open(round(2)));
    ASSERT_TRUE(journal->open(round(3)));
    JournalRound decided = round(2);
    decided.plan.members[0].pod.netns_inode = 43;
    ASSERT_TRUE(journal->decide(decided));
    ASSERT_TRUE(journal->end(ended(round(3), RoundState::aborted, "why")));
  }
  const auto journal = open();
  const auto left = journal->unfinished();
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_EQ(left->size(), 2U);
  EXPECT_EQ((*left)[0].id, RoundId("r1"));
  EXPECT_FALSE((*left)[0].decided);
  EXPECT_EQ((*left)[0].opened_unix_ms, 1001);
  EXPECT_EQ((*left)[1].group, GroupId("even"));
  EXPECT_TRUE((*left)[1].decided);
  EXPECT_EQ((*left)[1].plan.members[0].pod.netns_inode, 43U);
  EXPECT_FALSE(journal->find(RoundId("r1"))->has_value());
  EXPECT_FALSE(journal->decided(RoundId("r1"))->has_value()) << "open";
  EXPECT_FALSE(journal->decided(RoundId("r3"))->has_value()) << "aborted";
  EXPECT_FALSE(journal->decided(RoundId("r4"))->has_value()) << "unknown";
  ASSERT_TRUE(journal->decided(RoundId("r2"))->has_value());
  EXPECT_EQ((*journal->decided(RoundId("r2")))->plan.members[0].pod.netns_inode, 43U);
  const auto last = journal->find(RoundId("r3"));
  ASSERT_TRUE(last && last->has_value());
  EXPECT_EQ(std::get<RoundStatus>((*last)->body).reason, "why");
}

TEST_F(JournalDbTest, ListsTheNewestFirstAndForgetsTheOldest) {
  const auto journal = open();
  for (int i = 1; i <= 6; ++i) {
    ASSERT_TRUE(journal->open(round(i)));
    ASSERT_TRUE(journal->end(ended(round(i), RoundState::aborted)));
    ASSERT_TRUE(journal->tidy());
  }
  const auto ids = [&](const std::string& group, std::size_t limit) {
    std::vector<std::string> names;
    const auto rounds = journal->history(GroupId(group), limit);
    EXPECT_TRUE(rounds);
    for (const RoundSummary& summary : *rounds) names.push_back(summary.id.value);
    return names;
  };
  EXPECT_EQ(ids("", 10), (std::vector<std::string>{"r6", "r5", "r4"}));
  EXPECT_EQ(ids("even", 10), (std::vector<std::string>{"r6", "r4"}));
  EXPECT_EQ(ids("", 1), (std::vector<std::string>{"r6"}));
}

TEST_F(JournalDbTest, ForgetsNoCommittedRoundThatSomebodyMayBeInDoubtAbout) {
  const auto journal = open();
  std::int64_t now = 1'000;
  int last = 0;
  const auto add = [&](RoundState state) {
    JournalRound begin = round(++last);
    begin.opened_unix_ms = now;
    EXPECT_TRUE(journal->open(begin));
    EXPECT_TRUE(journal->end(ended(begin, state)));
    EXPECT_TRUE(journal->tidy());
    return begin.id;
  };
  const auto knows = [&](const RoundId& id) { return journal->find(id)->has_value(); };
  const RoundId committed = add(RoundState::complete);
  const RoundId aborted = add(RoundState::aborted);
  for (int i = 0; i < 10; ++i) {
    (void)add(RoundState::aborted);
    (void)add(RoundState::complete);
  }
  EXPECT_TRUE(knows(committed));
  EXPECT_FALSE(knows(aborted));
  now += kKeptForDoubtMs + 1;
  const RoundId later = add(RoundState::complete);
  EXPECT_FALSE(knows(committed)) << "nobody asks for it any more";
  for (std::size_t i = 0; i < 3 * kMostForDoubt; ++i) (void)add(RoundState::complete);
  EXPECT_FALSE(knows(later)) << "there is a limit all the same";
}

TEST_F(JournalDbTest, ListsTheOthersWhereOneRoundCanNotBeRead) {
  const auto journal = open();
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(journal->open(round(i)));
    Message last_word = ended(round(i), RoundState::aborted);
    if (i == 2) {
      // More than anybody decodes.
      auto& members = std::get<RoundStatus>(last_word.body).members;
      members.resize(1);
      members[0].notes.resize(2 * kMaxSockets);
    }
    ASSERT_TRUE(journal->end(last_word));
  }
  const auto rounds = journal->history({}, 10);
  ASSERT_TRUE(rounds) << rounds.error().message();
  ASSERT_EQ(rounds->size(), 2U);
  EXPECT_EQ((*rounds)[0].id, RoundId("r3"));
  EXPECT_EQ((*rounds)[1].id, RoundId("r1"));
  EXPECT_FALSE(journal->find(RoundId("r2"))) << "it is not guessed at either";
}

TEST_F(JournalDbTest, DecidesOnlyWhatIsOpen) {
  const auto journal = open();
  EXPECT_FALSE(journal->decide(round(1)));
  ASSERT_TRUE(journal->open(round(1)));
  EXPECT_FALSE(journal->open(round(1))) << "an id is given once";
  ASSERT_TRUE(journal->end(ended(round(1), RoundState::aborted)));
  EXPECT_FALSE(journal->decide(round(1))) << "what was aborted stays so";
}

TEST_F(JournalDbTest, IsOneBrokers) {
  const auto journal = open();
  ASSERT_TRUE(journal->open(round(1)));
  const auto second = JournalDb::create(path_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message().find("another broker"), std::string::npos) << second.error().message();
}

TEST_F(JournalDbTest, IsItsOwnersAlone) {
  const auto journal = open();
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0077U, 0U);
}

TEST_F(JournalDbTest, SaysThatItIsDamagedAndNothingElse) {
  {
    const auto journal = open();
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(journal->open(round(i)));
    ASSERT_TRUE(journal->end(ended(round(1), RoundState::complete)));
    ASSERT_TRUE(journal->tidy());  // writes the log back
  }
  const auto size = std::filesystem::file_size(path_);
  ASSERT_GT(size, 8192U);
  for (const auto& [offset, bytes] : {std::pair<std::streamoff, std::string>{0, std::string(100, 'x')},
                                      {4096, std::string(4096, '\xff')}}) {
    const std::string good = lockstep::test::read_file(path_);
    overwrite(offset, bytes);
    const auto journal = JournalDb::create(path_);
    ASSERT_TRUE(journal) << journal.error().message();
    ASSERT_TRUE((*journal)->problem()) << offset;
    EXPECT_NE((*journal)->problem()->message().find(path_), std::string::npos);
    EXPECT_NE((*journal)->problem()->message().find("move it away"), std::string::npos);
    EXPECT_FALSE((*journal)->open(round(9)));
    EXPECT_FALSE((*journal)->decide(round(2)));
    EXPECT_FALSE((*journal)->find(RoundId("r1")));
    EXPECT_FALSE((*journal)->unfinished());
    EXPECT_FALSE((*journal)->history({}, 1));
    lockstep::test::write_file(path_, good);
  }
}

TEST_F(JournalDbTest, RefusesAPathThatCanNotBe) {
  lockstep::test::write_file(dir_ / "file", "x");
  const auto journal = JournalDb::create(dir_ / "file/journal.db");
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().message().find("file"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::broker
