#include "agent/hook/record_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schemas/messages.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::hook {
namespace {

using test::read_file;
using test::write_file;

class RecordFile : public ::testing::Test {
 protected:
  [[nodiscard]] std::string record() const { return dir_ / kRecordFile; }
  [[nodiscard]] std::string part() const { return dir_ / kRecordPartFile; }
  [[nodiscard]] static bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
  }

  test::TempDir dir_;
  ImagesFolder images_ = ImagesFolder::open(dir_.path()).value();
};

TEST_F(RecordFile, StoresUnderATemporaryNameAndCommitsByRename) {
  ASSERT_TRUE(images_.store("one"));
  EXPECT_EQ(read_file(part()), "one");
  EXPECT_FALSE(exists(record()));
  ASSERT_TRUE(images_.commit());
  EXPECT_EQ(read_file(record()), "one");
  EXPECT_FALSE(exists(part()));
}

TEST_F(RecordFile, IsReadableByItsOwnerOnly) {
  ASSERT_TRUE(images_.store("one"));
  struct stat status {};
  ASSERT_EQ(::stat(part().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(RecordFile, KeepsTheLastOfSeveral) {
  ASSERT_TRUE(images_.store("a longer one"));
  ASSERT_TRUE(images_.store("two"));
  ASSERT_TRUE(images_.commit());
  EXPECT_EQ(read_file(record()), "two");
}

TEST_F(RecordFile, CommitsNothingThatWasNotStored) {
  write_file(part(), "somebody else's");
  EXPECT_FALSE(images_.commit());
  EXPECT_FALSE(exists(record()));
}

TEST_F(RecordFile, RemovesAnUncommittedPartAtTheEnd) {
  {
    auto images = ImagesFolder::open(dir_.path()).value();
    ASSERT_TRUE(images.store("one"));
  }
  EXPECT_FALSE(exists(part()));
}

TEST_F(RecordFile, LeavesAPartThatItDidNotStore) {
  write_file(part(), "somebody else's");
  { const auto images = ImagesFolder::open(dir_.path()).value(); }
  EXPECT_TRUE(exists(part()));
}

TEST_F(RecordFile, ReplacesALinkInsteadOfFollowingIt) {
  const std::string victim = dir_ / "victim";
  write_file(victim, "precious");
  ASSERT_EQ(::symlink(victim.c_str(), part().c_str()), 0);
  ASSERT_TRUE(images_.store("one"));
  EXPECT_EQ(read_file(victim), "precious");
  EXPECT_EQ(read_file(part()), "one");
}

TEST_F(RecordFile, ReadsNoRecordThroughALink) {
  const std::string victim = dir_ / "victim";
  write_file(victim, "precious");
  ASSERT_EQ(::symlink(victim.c_str(), record().c_str()), 0);
  EXPECT_FALSE(images_.read_record(100));
}

TEST_F(RecordFile, ReadsNoFifo) {
  ASSERT_EQ(::mkfifo(record().c_str(), 0600), 0);
  EXPECT_FALSE(images_.read_record(100));
}

TEST_F(RecordFile, ReadsUpToTheLimit) {
  EXPECT_EQ(images_.read_record(100).value(), "");
  write_file(record(), std::string(100, 'r'));
  EXPECT_EQ(images_.read_record(100).value(), std::string(100, 'r'));
  EXPECT_FALSE(images_.read_record(99));
}

TEST_F(RecordFile, RemovesWhatAnEarlierDumpLeft) {
  write_file(record(), "old");
  write_file(part(), "old");
  ASSERT_TRUE(images_.remove_old());
  EXPECT_FALSE(exists(record()));
  EXPECT_FALSE(exists(part()));
  EXPECT_TRUE(images_.remove_old());
}

TEST_F(RecordFile, TellsWhyItCanNotStore) {
  ASSERT_EQ(::mkdir(part().c_str(), 0700), 0);
  const auto stored = images_.store("one");
  ASSERT_FALSE(stored);
  EXPECT_NE(stored.error().message().find(part()), std::string::npos) << stored.error().message();
  EXPECT_FALSE(images_.stored());
}

TEST_F(RecordFile, OpensFoldersOnly) {
  write_file(dir_ / "file", "");
  EXPECT_FALSE(ImagesFolder::open(dir_ / "file"));
  EXPECT_FALSE(ImagesFolder::open(dir_ / "nothing"));
}

}  // namespace
}  // namespace lockstep::hook
