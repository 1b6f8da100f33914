#include "cli/criu_stats.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "criu_stats.pb.h"

namespace lockstep::cli {
namespace {

using std::chrono::microseconds;

std::string image_of(const std::string& entry, std::uint32_t magic = 0x57093306) {
  const std::uint32_t header[3] = {0x55105940, magic, static_cast<std::uint32_t>(entry.size())};
  return std::string(reinterpret_cast<const char*>(header), sizeof header) + entry;
}

TEST(CriuStats, ReadsADump) {
  criu_stats::Entry entry;
  entry.mutable_dump()->set_freezing(9013);
  entry.mutable_dump()->set_frozen(207102);
  entry.mutable_dump()->set_memory_dump(19276);
  entry.mutable_dump()->set_memory_write(1003);
  const auto times = parse_criu_stats(image_of(entry.SerializeAsString()));
  ASSERT_TRUE(times) << times.error().message();
  ASSERT_TRUE(times->dump);
  EXPECT_FALSE(times->restore);
  EXPECT_EQ(times->dump->freezing, microseconds(9013));
  EXPECT_EQ(times->dump->frozen, microseconds(207102));
  EXPECT_EQ(times->dump->memory_dump, microseconds(19276));
  EXPECT_EQ(times->dump->memory_write, microseconds(1003));
}

TEST(CriuStats, ReadsWhatCriuHasWritten) {
  // stats-dump of a CRIU 4.2.1, whole.
  const unsigned char image[] = {0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57, 0x24, 0x00, 0x00, 0x00,
                                 0x0a, 0x22, 0x08, 0x48, 0x10, 0x88, 0xbb, 0x03, 0x18, 0xef, 0x11, 0x20,
                                 0xfa, 0x0d, 0x28, 0xf2, 0x05, 0x30, 0x00, 0x38, 0xd0, 0x05, 0x40, 0x00,
                                 0x48, 0x00, 0x50, 0x08, 0x58, 0x08, 0x60, 0x00, 0x68, 0x00, 0x70, 0x00};
  const auto times = parse_criu_stats({reinterpret_cast<const char*>(image), sizeof image});
  ASSERT_TRUE(times) << times.error().message();
  ASSERT_TRUE(times->dump);
  EXPECT_EQ(times->dump->freezing, microseconds(72));
  EXPECT_EQ(times->dump->frozen, microseconds(56'712));
  EXPECT_EQ(times->dump->memory_dump, microseconds(2'287));
  EXPECT_EQ(times->dump->memory_write, microseconds(1'786));
}

TEST(CriuStats, SkipsFieldsItDoesNotKnow) {
  // A field 99 inside, one of each wire type around: what later versions may bring.
  const std::string dump("\x10\x05\x98\x06\x01", 5);
  const std::string entry = std::string("\x0a\x05", 2) + dump + std::string("\x1a\x02xy\x28\x07", 6);
  const auto times = parse_criu_stats(image_of(entry));
  ASSERT_TRUE(times) << times.error().message();
  ASSERT_TRUE(times->dump);
  EXPECT_EQ(times->dump->frozen, microseconds(5));
  EXPECT_EQ(times->dump->freezing, microseconds(0));
}

TEST(CriuStats, ReadsARestore) {
  criu_stats::Entry entry;
  entry.mutable_restore()->set_forking(700);
  entry.mutable_restore()->set_restoring(94200);
  const auto times = parse_criu_stats(image_of(entry.SerializeAsString()) + "more");
  ASSERT_TRUE(times);
  ASSERT_TRUE(times->restore);
  EXPECT_EQ(times->restore->forking, microseconds(700));
  EXPECT_EQ(times->restore->restoring, microseconds(94200));
}

TEST(CriuStats, RefusesWhatIsNone) {
  EXPECT_FALSE(parse_criu_stats(""));
  EXPECT_FALSE(parse_criu_stats("short"));
  EXPECT_FALSE(parse_criu_stats(std::string(100, '\0')));
  EXPECT_FALSE(parse_criu_stats(image_of("", 0x12345678)));
  EXPECT_FALSE(parse_criu_stats(image_of("\x0a\x7f")));  // a length beyond the end
  criu_stats::Entry entry;
  entry.mutable_dump()->set_frozen(1);
  const std::string image = image_of(entry.SerializeAsString());
  for (std::size_t length = 0; length < image.size(); ++length) EXPECT_FALSE(parse_criu_stats(image.substr(0, length)));
  std::string huge = image;
  std::memset(huge.data() + 8, 0xFF, 4);
  EXPECT_FALSE(parse_criu_stats(huge));
}

TEST(CriuStats, TellsAMissingFileFromABadOne) {
  const auto missing = read_criu_stats("/nonexistent", Operation::dump);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace lockstep::cli
