#include "cli/images_archive.hpp"

#include <gtest/gtest.h>

#include "cli/criu_process.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

TEST(ImagesArchive, IsKnownByItsName) {
  const std::vector<std::pair<std::string, std::string>> names{
      {"a.tar", "none"}, {"/x/a.tar.gz", "gzip"}, {"a.b.tar.zst", "zstd"}, {"a", ""}, {"a.tgz", ""}, {"a.tar/b", ""}};
  for (const auto& [name, word] : names) EXPECT_EQ(compression_of(name), word) << name;
}

TEST(ImagesArchive, IsToldFromAFolderByItsName) {
  for (const char* name : {"a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "/x/a.zip"}) EXPECT_TRUE(is_archive_name(name));
  for (const char* name : {"a", "a.tar/b", "shop.2024", "tar", ""}) EXPECT_FALSE(is_archive_name(name)) << name;
}

TEST(TempFolder, BesideAPathGoesWithItsOwnerAndAbandonedOnesWithTheNext) {
  const test::TempDir folder;
  test::write_file(folder / "saved.lockstep.AbC123/export.tar", "of one that was killed");
  test::write_file(folder / "saved.lockstep.important/file", "somebody's");
  test::write_file(folder / "other.lockstep.AbC123/file", "another's");
  std::string path;
  {
    const auto one = TempFolder::make_beside(folder / "saved");
    ASSERT_TRUE(one) << one.error().message();
    path = one->path();
    EXPECT_TRUE(path.starts_with(folder / "saved.lockstep.")) << path;
    EXPECT_FALSE(std::filesystem::exists(folder / "saved.lockstep.AbC123"));
    auto two = TempFolder::make_beside(folder / "saved");
    ASSERT_TRUE(two);
    const TempFolder moved = std::move(*two);
    ASSERT_TRUE(TempFolder::make_beside(folder / "saved"));
    EXPECT_TRUE(std::filesystem::exists(path) && std::filesystem::exists(moved.path())) << "their owners live";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::exists(folder / "saved.lockstep.important"));
  EXPECT_TRUE(std::filesystem::exists(folder / "other.lockstep.AbC123"));
  EXPECT_FALSE(TempFolder::make_beside(folder / "nowhere/saved"));
}

TEST(ImagesArchive, UnpacksWhatIsReadBeforeARestore) {
  const test::TempDir folder;
  for (const char* file : {"checkpoint/inventory.img", "checkpoint/lockstep.record", "checkpoint/pages-1.img",
                           "checkpoint/tmpfs-dev-5.tar.gz.img", "config.dump", "spec.dump", "rootfs-diff.tar"}) {
    test::write_file(folder / (std::string("in/") + file), file);
  }
  const std::string archive = folder / "a.tar.gz";
  const auto packed = run_program(
      {"tar", "-czf", archive, "-C", folder / "in", "checkpoint", "config.dump", "spec.dump", "rootfs-diff.tar"},
      milliseconds(10'000));
  ASSERT_TRUE(packed && packed->exit.ok());

  std::string unpacked;
  {
    const auto opened = open_images(archive);
    ASSERT_TRUE(opened) << opened.error().message();
    unpacked = opened->unpacked.path();
    EXPECT_EQ(test::read_file(opened->folder + "/lockstep.record"), "checkpoint/lockstep.record");
    EXPECT_EQ(test::read_file(unpacked + "/config.dump"), "config.dump");
    EXPECT_EQ(test::read_file(unpacked + "/spec.dump"), "spec.dump");
    EXPECT_FALSE(std::filesystem::exists(opened->folder + "/pages-1.img"));
    EXPECT_FALSE(std::filesystem::exists(opened->folder + "/tmpfs-dev-5.tar.gz.img"));
    EXPECT_FALSE(std::filesystem::exists(unpacked + "/rootfs-diff.tar"));
  }
  EXPECT_FALSE(std::filesystem::exists(unpacked)) << "what was unpacked goes with its owner";
}

TEST(ImagesArchive, SaysWhatIsNone) {
  const test::TempDir folder;
  EXPECT_EQ(open_images(folder / "none.tar").error().code, ErrorCode::not_found);
  test::write_file(folder / "bad.tar", "no archive at all");
  const auto bad = open_images(folder / "bad.tar");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("is no checkpoint that Podman has exported: tar: "), std::string::npos)
      << bad.error().message();
  const auto plain = open_images(folder / "images");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->folder, folder / "images");
  test::write_file(folder / "saved/checkpoint/inventory.img", "");
  EXPECT_EQ(open_images(folder / "saved")->folder, folder / "saved") << "no container's";
  test::write_file(folder / "saved/config.dump", "");
  EXPECT_EQ(open_images(folder / "saved")->folder, folder / "saved/checkpoint");
}

}  // namespace
}  // namespace lockstep::cli
