#include "cli/export_folder.hpp"

#include <gtest/gtest.h>

#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

void write_export(const std::string& folder, const std::string& round) {
  test::write_file(folder + "/checkpoint/lockstep.record", round);
  test::write_file(folder + "/config.dump", round);
}

TEST(ExportFolder, TakesThePlaceOfNothingAndOfAnEarlierExport) {
  const test::TempDir folder;
  const std::string saved = folder / "new/saved";
  const std::string staging = folder / "new/staging";
  ASSERT_TRUE(check_export_place(saved));
  EXPECT_FALSE(std::filesystem::exists(saved));
  write_export(staging + "/images", "first");
  ASSERT_TRUE(put_export_in_place(staging, saved));
  EXPECT_TRUE(holds_export(saved));
  EXPECT_FALSE(std::filesystem::exists(staging + "/images"));

  test::write_file(saved + "/checkpoint/pages-7.img", "which the second has not");
  write_export(staging + "/images", "second");
  ASSERT_TRUE(check_export_place(saved));
  ASSERT_TRUE(put_export_in_place(staging, saved));
  EXPECT_EQ(test::read_file(saved + "/config.dump"), "second");
  EXPECT_FALSE(std::filesystem::exists(saved + "/checkpoint/pages-7.img"));
  EXPECT_EQ(test::read_file(staging + "/images/config.dump"), "first") << "to be removed with the temporary folder";

  std::filesystem::create_directories(folder / "empty");
  EXPECT_TRUE(check_export_place(folder / "empty"));
}

TEST(ExportArchive, TakesThePlaceOfNothingAndOfAnEarlierOne) {
  const test::TempDir folder;
  const std::string saved = folder / "saved.tar.zst";
  const std::string staging = folder / "staging";
  for (const std::string round : {"first", "second"}) {
    test::write_file(staged_archive(staging, saved), round);
    ASSERT_TRUE(put_archive_in_place(staging, saved));
    EXPECT_EQ(test::read_file(saved), round);
  }
  EXPECT_FALSE(put_archive_in_place(staging, saved)) << "nothing was exported";
  EXPECT_EQ(test::read_file(saved), "second");
}

TEST(ExportFolder, RemovesNothingElse) {
  const test::TempDir folder;
  test::write_file(folder / "mine/file", "mine");
  test::write_file(folder / "file", "mine");
  write_export(folder / "saved", "first");
  std::filesystem::create_directory_symlink(folder / "saved", folder / "link");
  for (const char* name : {"mine", "file", "link"}) {
    EXPECT_EQ(check_export_place(folder / name).error().code, ErrorCode::conflict) << name;
  }
  EXPECT_NE(check_export_place("/proc").error().message().find("a file system of its own"), std::string::npos);
  write_export(folder / "staging/images", "first");
  EXPECT_FALSE(put_export_in_place(folder / "staging", folder / "mine"));
  EXPECT_EQ(test::read_file(folder / "mine/file"), "mine");
  EXPECT_FALSE(put_export_in_place(folder / "nothing", folder / "new")) << "nothing was unpacked";
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

}  // namespace
}  // namespace lockstep::cli
