#include "cli/images/image_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

using test::entry;
using test::TempDir;
using test::words;

class ImageFileTest : public ::testing::Test {
 protected:
  Result<ImageFile> open(const std::string& bytes) {
    test::write_file(path_, bytes);
    return ImageFile::open(path_, kFilesMagic);
  }
  /// The error of opening or of reading to the end; empty when all went well.
  std::string error_of(const std::string& bytes) {
    auto file = open(bytes);
    if (!file) return file.error().message();
    while (true) {
      const auto next = file->next();
      if (!next) return next.error().message();
      if (!*next) return {};
    }
  }

  TempDir dir_;
  std::string path_ = dir_ / "files.img";
  const std::string head_ = words({kCommonMagic, kFilesMagic});
};

TEST_F(ImageFileTest, ReadsEntriesInOrder) {
  const std::string large(100'000, 'x');
  auto file = open(head_ + entry("one") + entry("") + entry(large) + entry("last") + "queue");
  ASSERT_TRUE(file) << file.error().message();
  for (const std::string& expected : {std::string("one"), std::string(), large, std::string("last")}) {
    const auto next = file->next();
    ASSERT_TRUE(next && *next);
    EXPECT_EQ(**next, expected);
  }
  EXPECT_EQ(file->remaining(), 5U);
}

TEST_F(ImageFileTest, EndsAtItsEnd) {
  auto file = open(head_);
  ASSERT_TRUE(file);
  const auto next = file->next();
  ASSERT_TRUE(next);
  EXPECT_FALSE(*next);
}

TEST_F(ImageFileTest, OldImagesHaveOneMagicWord) { EXPECT_EQ(error_of(words({kFilesMagic}) + entry("one")), ""); }

TEST_F(ImageFileTest, EveryCutIsTold) {
  const std::string whole = head_ + entry("one") + entry("two");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const bool between = size == head_.size() || size == head_.size() + 7;  // no image can tell that
    EXPECT_EQ(error_of(whole.substr(0, size)), between ? "" : path_ + ": is cut off") << size;
  }
}

TEST_F(ImageFileTest, WrongMagicWords) {
  const std::string wrong = path_ + ": is not the image of CRIU that its name promises";
  EXPECT_EQ(error_of(words({kCommonMagic, kTcpStreamMagic})), wrong);
  EXPECT_EQ(error_of(words({kCommonMagic, kCommonMagic})), wrong);
  EXPECT_EQ(error_of(words({0x55105940, kFilesMagic})), wrong);
  EXPECT_EQ(error_of("a text file"), wrong);
  EXPECT_EQ(error_of(words({__builtin_bswap32(kCommonMagic), 0})),
            path_ + ": comes from a machine of another byte order");
}

TEST_F(ImageFileTest, HugeSizesCostNothing) {
  EXPECT_EQ(error_of(head_ + words({kMaxEntry}) + "x"), path_ + ": is cut off");
  EXPECT_EQ(error_of(head_ + words({kMaxEntry + 1}) + "x"),
            path_ + ": has an entry of 67108865 bytes, more than CRIU writes");
  EXPECT_NE(error_of(head_ + words({0xFFFFFFFF}) + "x"), "");
}

TEST_F(ImageFileTest, OnlyRegularFiles) {
  EXPECT_EQ(ImageFile::open(path_, kFilesMagic).error().code, ErrorCode::not_found);
  EXPECT_EQ(ImageFile::open(dir_.path(), kFilesMagic).error().message(), dir_.path() + ": is no regular file");
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(ImageFile::open(path_, kFilesMagic).error().message(), path_ + ": is no regular file");
}

}  // namespace
}  // namespace lockstep::images
