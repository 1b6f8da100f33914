#include "cli/former_checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cli/images/image_file.hpp"
#include "cli/images_folder.hpp"
#include "cli/verify_images.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Files = std::map<std::string, std::string>;

class FormerCheckpointTest : public testing::Test {
 protected:
  FormerCheckpointTest() { add("a"); }

  void add(const char* id, Driver driver = Driver::criu) {
    auto& member = group_.emplace_back(std::make_unique<GroupMember>());
    member->id = MemberId(id);
    member->driver = driver;
    ReadyMember& ready = members_.emplace_back();
    ready.member = member.get();
    ready.images = folder_ / id;
    ready.work = driver == Driver::podman ? folder_.path() : ready.images;
  }

  static std::string word(std::uint32_t magic) { return {reinterpret_cast<const char*>(&magic), sizeof magic}; }

  /// What CRIU leaves, with words of their own in each file.
  static void dump(const std::string& folder, const std::string& tag) {
    test::write_file(folder + "/core-7.img", word(images::kCommonMagic) + tag);
    test::write_file(folder + "/pages-1.img", tag);
    test::write_file(folder + "/tmpfs-dev-52.tar.gz.img", "packed " + tag);
    test::write_file(folder + "/lockstep.options", "--file-locks\n" + tag);
    test::write_file(folder + "/inventory.img", word(images::kInventoryMagic) + tag);
  }

  void record(const std::string& folder, const char* id, const std::string& round, bool conditional = false) const {
    Record record;
    record.round = RoundId(round);
    record.group = GroupId("g");
    record.member = MemberId(id);
    for (const auto& member : group_) record.members.push_back(member->id);
    record.conditional = conditional;
    test::write_file(folder + "/" + std::string(kRecordFile), encode_record(record));
  }

  void checkpoint(const std::string& folder, const char* id, const std::string& round) const {
    dump(folder, round);
    record(folder, id, round);
  }

  /// All files of a folder and below it.
  static Files files(const std::string& folder) {
    Files found;
    if (!std::filesystem::exists(folder)) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string name = std::filesystem::relative(entry.path(), folder);
      found[name] = entry.is_directory() ? "(folder)" : test::read_file(entry.path());
    }
    return found;
  }

  /// The round `r9` ends so, when all CRIUs have been started.
  std::vector<std::string> settle(RoundState state, bool ok = true) {
    Report report;
    report.round = RoundId("r9");
    report.outcome.status.state = state;
    report.outcome.runs.resize(members_.size());
    for (MemberRun& run : report.outcome.runs) run.exit = ProcessExit{ok ? 0 : 1, 0};
    settle_former(members_, report);
    return report.notes;
  }

  template <class T>
  static std::string error_of(const Result<T>& result) {
    return result ? "(no error)" : result.error().message();
  }
  std::string clear(bool tried_before = false) {
    return error_of(clear_images(Operation::dump, members_, tried_before));
  }

  test::TempDir folder_;
  std::vector<std::unique_ptr<GroupMember>> group_;
  std::vector<ReadyMember> members_;
};

TEST_F(FormerCheckpointTest, IsKeptUntilTheNewOneIsCommitted) {
  checkpoint(folder_ / "a", "a", "r1");
  test::write_file(folder_ / "a/notes.txt", "the user's");
  const Files before = files(folder_ / "a");
  ASSERT_EQ(clear(), "(no error)");
  Files aside = files(folder_ / "a/former");
  aside["notes.txt"] = "the user's";
  EXPECT_EQ(aside, before);
  checkpoint(folder_ / "a", "a", "r9");
  EXPECT_THAT(settle(RoundState::complete), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a/former"));
  EXPECT_EQ(files(folder_ / "a")["core-7.img"], word(images::kCommonMagic) + "r9");
  EXPECT_EQ(files(folder_ / "a")["notes.txt"], "the user's");
}

TEST_F(FormerCheckpointTest, ComesBackAsItWasWhenTheRoundIsAborted) {
  add("b", Driver::podman);
  add("c");  // has none yet
  checkpoint(folder_ / "a", "a", "r1");
  checkpoint(folder_ / "b", "b", "r1");
  test::write_file(folder_ / "b/descriptors.json", "[\"r1\"]");
  std::filesystem::remove(folder_ / "b/lockstep.options");
  test::write_file(folder_ / "c/disk.img", "of a virtual machine");
  const Files before = files(folder_.path());
  for (int attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_EQ(clear(attempt > 1), "(no error)");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "b.former/descriptors.json")) << "a sibling: Podman exports the rest";
    EXPECT_THAT(files(folder_ / "b"), IsEmpty());
    dump(folder_ / "a", "r9");
    test::write_file(folder_ / "a/core-8.img", word(images::kCommonMagic) + "another task");
    std::filesystem::remove(folder_ / "a/inventory.img");  // CRIU has failed
    test::write_file(folder_ / "b/core-8.img", word(images::kCommonMagic));
    test::write_file(folder_ / "b/descriptors.json", "[\"r9\"]");
    dump(folder_ / "c", "r9");
    EXPECT_THAT(settle(RoundState::aborted, false), IsEmpty());
    EXPECT_EQ(files(folder_.path()), before) << attempt;
  }
}

TEST_F(FormerCheckpointTest, IsNotReplacedByARecordThatProvesNothing) {
  checkpoint(folder_ / "a", "a", "r1");
  const Files before = files(folder_ / "a");
  ASSERT_EQ(clear(), "(no error)");
  dump(folder_ / "a", "r9");
  record(folder_ / "a", "a", "r9", true);
  EXPECT_THAT(settle(RoundState::aborted, false), IsEmpty());
  EXPECT_EQ(files(folder_ / "a"), before);
}

TEST_F(FormerCheckpointTest, StaysWhereItIsWhenItMayBeNeeded) {
  checkpoint(folder_ / "a", "a", "r1");
  const Files before = files(folder_ / "a");
  ASSERT_EQ(clear(), "(no error)");
  const std::string note = "member \"a\": its former checkpoint is in " + folder_ / "a/former" + ": `mv " +
                           folder_ / "a/former/* " + folder_ / "a/` brings it back";
  EXPECT_THAT(settle(RoundState::open), ElementsAre(note));
  dump(folder_ / "a", "r9");
  EXPECT_THAT(settle(RoundState::complete, false), ElementsAre(note));
  EXPECT_EQ(files(folder_ / "a/former"), before);
}

TEST_F(FormerCheckpointTest, OutlivesALockstepThatWasKilled) {
  checkpoint(folder_ / "a", "a", "r1");
  const Files before = files(folder_ / "a");
  // While the new images were written: the next command's round is aborted, too.
  ASSERT_EQ(clear(), "(no error)");
  dump(folder_ / "a", "r2");
  EXPECT_THAT(error_of(read_record(folder_ / "a")),
              AllOf(HasSubstr("no member of a committed checkpoint; its former checkpoint is in "), HasSubstr("`mv ")));
  ASSERT_EQ(clear(), "(no error)");
  EXPECT_EQ(files(folder_ / "a").size(), before.size() + 1) << "the failed images are gone";
  EXPECT_EQ(files(folder_ / "a/former"), before);
  const auto verified = verify_images({folder_ / "a"});
  ASSERT_TRUE(verified);
  EXPECT_THAT(verified->problems, Contains(HasSubstr("its former checkpoint is in " + folder_ / "a/former")));
  EXPECT_THAT(settle(RoundState::aborted, false), IsEmpty());
  EXPECT_EQ(files(folder_ / "a"), before);
  // After the commit: the newer one counts.
  ASSERT_EQ(clear(), "(no error)");
  checkpoint(folder_ / "a", "a", "r3");
  ASSERT_EQ(clear(), "(no error)");
  EXPECT_EQ(files(folder_ / "a/former")["pages-1.img"], "r3");
}

TEST_F(FormerCheckpointTest, OutlivesALockstepThatWasKilledWhileItMovedFiles) {
  checkpoint(folder_ / "a", "a", "r1");
  const Files before = files(folder_ / "a");
  for (const char* name : {"lockstep.record", "core-7.img"}) {
    std::filesystem::create_directories(folder_ / "a/former.part");
    std::filesystem::rename(folder_ / "a" + ("/" + std::string(name)), folder_ / "a/former.part/" + name);
  }
  EXPECT_THAT(error_of(read_record(folder_ / "a")), HasSubstr("in " + folder_ / "a/former.part"));
  ASSERT_EQ(clear(), "(no error)");
  EXPECT_EQ(files(folder_ / "a/former"), before);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a/former.part"));
  // Amid the removal of the former one: what is left of it is none.
  checkpoint(folder_ / "a", "a", "r2");
  std::filesystem::remove(folder_ / "a/former/lockstep.record");
  ASSERT_EQ(clear(), "(no error)");
  EXPECT_EQ(files(folder_ / "a/former")["pages-1.img"], "r2");
}

TEST_F(FormerCheckpointTest, OutlivesARoundThatOnlySomeMembersHaveCommitted) {
  add("b");
  for (const char* id : {"a", "b"}) checkpoint(folder_ / id, id, "r1");
  const Files before = files(folder_.path());
  ASSERT_EQ(clear(), "(no error)");
  checkpoint(folder_ / "a", "a", "r2");
  dump(folder_ / "b", "r2");
  EXPECT_EQ(settle(RoundState::complete, false).size(), 2U);
  ASSERT_EQ(clear(), "(no error)");
  EXPECT_THAT(settle(RoundState::aborted, false), IsEmpty());
  EXPECT_EQ(files(folder_.path()), before) << "together they can be restored";
}

TEST_F(FormerCheckpointTest, BelongsToOneCommandAtATime) {
  checkpoint(folder_ / "a", "a", "r1");
  {
    const auto held = hold_images(members_);
    ASSERT_TRUE(held) << held.error().message();
    EXPECT_THAT(error_of(hold_images(members_)),
                HasSubstr("member \"a\": " + folder_ / "a: another lockstep is still"));
  }
  EXPECT_TRUE(hold_images(members_));
}

TEST_F(FormerCheckpointTest, DoesNotReplaceWhatIsNotItsOwn) {
  add("b");
  for (const char* id : {"a", "b"}) checkpoint(folder_ / id, id, "r1");
  for (const char* name : {"b/former", "b/former/letter.txt", "b/former.part"}) {
    test::write_file(folder_ / name, "dear user");
    const Files before = files(folder_.path());
    EXPECT_THAT(clear(), AllOf(HasSubstr("member \"b\": " + folder_ / name), HasSubstr("move it elsewhere")));
    for (const ReadyMember& ready : members_)
      EXPECT_TRUE(put_back(ready, false) || name == std::string("b/former.part"));
    EXPECT_EQ(files(folder_.path()), before);
    std::filesystem::remove_all(folder_ / "b/former");
  }
}

}  // namespace
}  // namespace lockstep::cli
