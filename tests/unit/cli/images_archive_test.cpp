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
}

}  // namespace
}  // namespace lockstep::cli
