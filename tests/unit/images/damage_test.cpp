/// Images folders that are damaged in every way that chance finds: the reader never crashes (sanitizers are watching),
/// and never takes what it can't prove for proved.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "cli/verify_images.hpp"
#include "cli/verify_report.hpp"
#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

namespace fs = std::filesystem;
using test::connection;
using test::endpoint;

/// Two members with an IPv4 and an IPv6 connection, data in both queues.
class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto v4 = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001), 0xFFFFFF00U, 77);
    v4.a.unacknowledged = 60;
    v4.a.unsent = 20;
    v4.b.received -= 50;
    v4.b.unread = 40;
    const auto v6 = connection(endpoint("fd00::1", 80), endpoint("fd00::2", 4001));
    fill("a", {v4.a, v6.a}, 1);
    fill("b", {v4.b, v6.b}, 2);
    for (const std::string member : {"a", "b"}) {
      for (const auto& file : fs::directory_iterator(dir_ / member)) files_.push_back(file.path());
    }
    std::sort(files_.begin(), files_.end());
  }

  void fill(const std::string& member, const std::vector<TcpEnd>& ends, std::uint64_t pod) {
    fs::create_directory(dir_ / member);
    test::write_images(dir_ / member, ends);
    test::write_record(dir_ / member, test::record_of(member, {"a", "b"}, ends, pod));
  }

  cli::CutSummary verify() {
    auto summary = cli::verify_images({dir_ / "a", dir_ / "b"});
    EXPECT_TRUE(summary);
    // The reports must stand whatever the images say.
    EXPECT_FALSE(cli::cut_text(*summary).empty());
    EXPECT_FALSE(cli::cut_json(*summary, 0).empty());
    return std::move(*summary);
  }

  test::TempDir dir_;
  std::vector<std::string> files_;
};

TEST_F(DamageTest, NoneAtAll) {
  const auto summary = verify();
  EXPECT_TRUE(summary.consistent()) << cli::cut_text(summary);
  EXPECT_EQ(summary.connections.size(), 2U);
  EXPECT_EQ(files_.size(), 10U);
}

TEST_F(DamageTest, EveryFileIsNeeded) {
  for (const std::string& file : files_) {
    const std::string whole = test::read_file(file);
    fs::remove(file);
    const auto summary = verify();
    EXPECT_FALSE(summary.consistent()) << file;
    EXPECT_NE(cli::cut_text(summary).find(file), std::string::npos) << file;
    test::write_file(file, whole);
  }
}

TEST_F(DamageTest, EveryCutOfEveryFileIsTold) {
  for (const std::string& file : files_) {
    const std::string whole = test::read_file(file);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      test::write_file(file, whole.substr(0, size));
      ASSERT_FALSE(verify().consistent()) << file << " cut at " << size;
    }
    test::write_file(file, whole);
  }
  EXPECT_TRUE(verify().consistent());
}

TEST_F(DamageTest, RandomChangesNeverCrash) {
  const std::uint32_t seed = std::random_device()();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int turn = 0; turn < 800; ++turn) {
    const std::string& file = files_[random() % files_.size()];
    const std::string whole = test::read_file(file);
    std::string bytes = whole;
    for (std::uint32_t change = 0; change <= random() % 4; ++change) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8)); break;
        case 2: bytes.insert(at, 1 + random() % 8, static_cast<char>(random())); break;
        default: bytes.erase(at, random() % 8);
      }
      if (bytes.empty()) break;
    }
    test::write_file(file, bytes);
    // A change may leave the meaning as it is (in the queues, or in numbers that still fit), but the record's never.
    const bool is_record = file.ends_with("lockstep.record");
    EXPECT_FALSE(verify().consistent() && is_record && bytes != whole) << file;
    test::write_file(file, whole);
  }
}

}  // namespace
}  // namespace lockstep::images
