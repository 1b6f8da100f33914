/// The journal's file on a disk that fails: what it says to have failed to keep, and what stands there all the same.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "broker/journal_db.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::broker {
namespace {

/// What the disk under SQLite refuses.
struct Disk {
  bool no_sync = false;  ///< what has been written stays
  bool no_room = false;  ///< it is full: the log can't grow, what is there in the database can be written over
  bool only_log = false;  ///< nothing can be written but the log
} disk;

/// SQLite's own file, behind one that may refuse.
struct FaultyFile {
  sqlite3_file base;
  sqlite3_file* real;
  bool is_log;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file)->real; }

const sqlite3_io_methods kMethods{
    2,
    [](sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); },
    [](sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
      return real(file)->pMethods->xRead(real(file), to, size, at);
    },
    [](sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
      const bool is_log = reinterpret_cast<FaultyFile*>(file)->is_log;
      if (disk.only_log && !is_log) return SQLITE_FULL;
      return disk.no_room && is_log ? SQLITE_FULL : real(file)->pMethods->xWrite(real(file), from, size, at);
    },
    [](sqlite3_file* file, sqlite3_int64 size) { return real(file)->pMethods->xTruncate(real(file), size); },
    [](sqlite3_file* file, int flags) {
      return disk.no_sync ? SQLITE_IOERR_FSYNC : real(file)->pMethods->xSync(real(file), flags);
    },
    [](sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); },
    [](sqlite3_file* file, int lock) { return real(file)->pMethods->xLock(real(file), lock); },
    [](sqlite3_file* file, int lock) { return real(file)->pMethods->xUnlock(real(file), lock); },
    [](sqlite3_file* file, int* held) { return real(file)->pMethods->xCheckReservedLock(real(file), held); },
    [](sqlite3_file* file, int what, void* with) { return real(file)->pMethods->xFileControl(real(file), what, with); },
    [](sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); },
    [](sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); },
    [](sqlite3_file* file, int page, int size, int extend, void volatile** map) {
      return real(file)->pMethods->xShmMap(real(file), page, size, extend, map);
    },
    [](sqlite3_file* file, int offset, int count, int flags) {
      return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
    },
    [](sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); },
    [](sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); },
    nullptr,
    nullptr,
};

sqlite3_vfs* the_real() { return ::sqlite3_vfs_find("unix"); }

int open_file(sqlite3_vfs* /*vfs*/, const char* path, sqlite3_file* file, int flags, int* given) {
  auto* faulty = reinterpret_cast<FaultyFile*>(file);
  faulty->base.pMethods = nullptr;
  faulty->real = reinterpret_cast<sqlite3_file*>(faulty + 1);
  faulty->is_log = (flags & SQLITE_OPEN_WAL) != 0;
  const int opened = the_real()->xOpen(the_real(), path, faulty->real, flags, given);
  if (opened == SQLITE_OK) faulty->base.pMethods = &kMethods;
  return opened;
}

class JournalDbFaults : public ::testing::Test {
 protected:
  JournalDbFaults() {
    static sqlite3_vfs vfs = [] {
      sqlite3_vfs made = *the_real();
      made.zName = "faulty";
      made.pNext = nullptr;
      made.szOsFile += static_cast<int>(sizeof(FaultyFile));
      made.xOpen = open_file;
      return made;
    }();
    disk = {};
    EXPECT_EQ(::sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
  }
  ~JournalDbFaults() override {
    disk = {};
    ::sqlite3_vfs_register(the_real(), 1);
  }

  static JournalRound round() {
    JournalRound begin{RoundId("r1"), GroupId("g"), {}, 1000, false};
    begin.plan.members.push_back({MemberId("m"), {"boot", 42}, "/run/netns/a", "c0ffee", {}});
    return begin;
  }
  std::unique_ptr<JournalDb> with_open_round() {
    auto journal = JournalDb::create(path_);
    EXPECT_TRUE(journal && (*journal)->open(round()));
    return std::move(*journal);
  }
  /// What a broker finds that starts after this one was killed now.
  bool next_broker_finds_it_decided() {
    const std::filesystem::path copies = dir_ / ("copy" + std::to_string(++copies_));
    std::filesystem::create_directories(copies);
    for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path())) {
      std::filesystem::copy(file.path(), copies / file.path().filename());
    }
    const Disk now = std::exchange(disk, {});
    auto journal = JournalDb::create(copies / "journal.db");
    const auto left = journal ? (*journal)->unfinished() : Result<std::vector<JournalRound>>();
    disk = now;
    EXPECT_TRUE(left && left->size() == 1);
    return left && left->size() == 1 && left->front().decided;
  }

  lockstep::test::TempDir dir_;
  std::string path_ = dir_ / "sub/journal.db";
  int copies_ = 0;
};

TEST_F(JournalDbFaults, ADecisionWhoseSyncHasFailedStandsThereUntilItIsTakenBack) {
  const auto journal = with_open_round();
  disk.no_sync = true;
  EXPECT_FALSE(journal->decide(round()));
  EXPECT_TRUE(next_broker_finds_it_decided()) << "this is what the taking back is for";
  EXPECT_FALSE(journal->undecide(round().id)) << "not durable, so not taken back";
  disk.no_sync = false;
  EXPECT_TRUE(journal->undecide(round().id));
  EXPECT_FALSE(next_broker_finds_it_decided());
  EXPECT_TRUE(journal->undecide(round().id)) << "said again";
  EXPECT_FALSE(next_broker_finds_it_decided());
}

TEST_F(JournalDbFaults, ADiskThatTakesNothingMoreStillTakesADecisionBack) {
  const auto journal = with_open_round();
  disk.no_sync = true;
  EXPECT_FALSE(journal->decide(round()));
  ASSERT_TRUE(next_broker_finds_it_decided());
  disk = {.no_sync = false, .no_room = true, .only_log = false};
  const auto taken = journal->undecide(round().id);
  EXPECT_TRUE(taken) << taken.error().message();
  EXPECT_FALSE(next_broker_finds_it_decided());
  disk = {};
  EXPECT_TRUE(journal->end(Message{round().id, round().group, {}, 0, RoundStatus{}})) << "it goes on";
}

TEST_F(JournalDbFaults, AnEndIsKeptWhereOnlyTheTidyingUpFails) {
  const auto journal = with_open_round();
  disk.only_log = true;
  RoundStatus status;
  status.reason = "why";
  status.state = RoundState::aborted;
  const auto kept = journal->end(Message{round().id, round().group, {}, 0, status});
  EXPECT_TRUE(kept) << kept.error().message();
  const auto tidied = journal->tidy();
  ASSERT_FALSE(tidied);
  EXPECT_NE(tidied.error().message().find("write back"), std::string::npos) << tidied.error().message();
  ASSERT_TRUE(journal->find(round().id)->has_value());
  disk = {};
  EXPECT_TRUE(journal->tidy());
}

TEST_F(JournalDbFaults, AFullDiskOpensNoRoundAndLeavesNone) {
  {
    auto journal = JournalDb::create(path_);
    ASSERT_TRUE(journal);
    disk.no_room = true;
    const auto opened = (*journal)->open(round());
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message().find("the disk is full"), std::string::npos) << opened.error().message();
    disk.no_room = false;
    EXPECT_TRUE((*journal)->open(round())) << "as soon as there is room";
  }
}

}  // namespace
}  // namespace lockstep::broker
