#include "cli/images/record_check.hpp"

#include <gtest/gtest.h>

#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

using test::endpoint;
using test::record_of;
using Lines = std::vector<std::string>;

Lines check(const std::vector<Record>& records) {
  Lines folders;
  std::vector<const Record*> pointers;
  for (const auto& record : records) {
    folders.push_back("folder" + std::to_string(pointers.size()));
    pointers.push_back(&record);
  }
  return check_round(folders, pointers);
}

std::vector<Record> whole_round() { return {record_of("a", {"a", "b"}, {}, 1), record_of("b", {"b", "a"}, {}, 2)}; }

TEST(RecordCheck, AWholeRound) { EXPECT_EQ(check(whole_round()), Lines{}); }

TEST(RecordCheck, MixedRounds) {
  auto records = whole_round();
  records[1].round = RoundId("r2");
  EXPECT_EQ(check(records), (Lines{"folder1: is of round r2 of group g, others are of round r1 of group g",
                                   "member \"b\" of round r1 of group g is missing"}));
  records = whole_round();
  records[1].group = GroupId("h");
  EXPECT_EQ(check(records)[0], "folder1: is of round r1 of group h, others are of round r1 of group g");
}

TEST(RecordCheck, MissingTwiceAndForeignMembers) {
  auto records = whole_round();
  records.pop_back();
  EXPECT_EQ(check(records), (Lines{"member \"b\" of round r1 of group g is missing"}));
  records = whole_round();
  records.push_back(records[0]);
  EXPECT_EQ(check(records), (Lines{"member \"a\" is there twice: folder0 and folder2"}));
  records = whole_round();
  records.push_back(record_of("c", {"a", "b"}, {}, 3));
  EXPECT_EQ(check(records), (Lines{"folder2: member \"c\" is not a member of its own round"}));
  records = whole_round();
  records[1].members.emplace_back("c");
  EXPECT_EQ(check(records), (Lines{"folder1: its record lists other members than that of member \"a\""}));
}

TEST(RecordCheck, PassesOverRecordsThatCouldNotBeRead) {
  const auto records = whole_round();
  EXPECT_EQ(check_round({"x"}, {nullptr}), Lines{});
  EXPECT_EQ(check_round({"x", "y", "z"}, {nullptr, &records[0], &records[1]}), Lines{});
}

TEST(RecordCheck, TableAndImages) {
  TcpImages images;
  for (std::uint32_t i = 0; i < 5; ++i) {
    TcpEnd end;
    end.local = endpoint("10.0.0.1", 80);
    end.remote = endpoint("fd00::2", static_cast<std::uint16_t>(4000 + i));
    end.state = TcpState::established;
    end.inode = 10 + i;
    images.ends.push_back(end);
  }
  const Record record = record_of("a", {"a"}, images.ends, 1);
  EXPECT_EQ(compare_with_record(record, images), Lines{});
  TcpImages fewer = images;
  fewer.ends.pop_back();
  EXPECT_EQ(compare_with_record(record, fewer),
            (Lines{"member \"a\": connection 10.0.0.1:80 to [fd00::2]:4004 (inode 14): "
                   "in the record, not in the images"}));
  // Damage has been told of already.
  fewer.unsaved.push_back(images.ends.back());
  EXPECT_EQ(compare_with_record(record, fewer), Lines{});
  // Another dump's images: none of the inodes is the same.
  TcpImages others = images;
  for (auto& end : others.ends) end.inode += 100;
  const Lines lines = compare_with_record(record, others);
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[3], "member \"a\": 2 more connections: in the record, not in the images");
  EXPECT_EQ(lines[7], "member \"a\": 2 more connections: in the images, not in the record");
}

TEST(RecordCheck, InternalEndsAreNotAlone) {
  const TcpEnd end{endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4000), TcpState::established, 10, 0, 0, 0, 0, 0};
  Record record = record_of("a", {"a"}, {end}, 1);
  EXPECT_EQ(compare_with_labels(record, {end}), Lines{});
  for (const auto label : {ConnectionLabel::internal, ConnectionLabel::internal_service}) {
    record.labels[0].label = label;
    EXPECT_EQ(compare_with_labels(record, {}), Lines{});
    EXPECT_EQ(compare_with_labels(record, {end}),
              (Lines{"member \"a\": connection 10.0.0.1:80 to 10.0.0.2:4000 (inode 10): "
                     "internal by the record, but the images have no other end"}));
  }
}

TEST(RecordCheck, LeavesOutWhatOneSideCannotHave) {
  TcpEnd end{endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4000), TcpState::established, 10, 0, 0, 0, 0, 0};
  Record record = record_of("a", {"a"}, {end}, 1);
  const auto alone = [&](TcpState state, std::uint64_t inode, std::uint16_t port) {
    record.sockets[0].state = state;
    record.sockets[0].inode = inode;
    record.sockets[0].remote.port = port;
    return compare_with_record(record, {}).size();
  };
  EXPECT_EQ(alone(TcpState::established, 10, 4000), 1U);
  EXPECT_EQ(alone(TcpState::last_ack, 10, 4000), 1U);
  EXPECT_EQ(alone(TcpState::established, 0, 4000), 0U);  // in the accept queue
  EXPECT_EQ(alone(TcpState::listen, 10, 0), 0U);
  EXPECT_EQ(alone(TcpState::time_wait, 10, 4000), 0U);
  EXPECT_EQ(alone(TcpState::new_syn_recv, 10, 4000), 0U);
  record.sockets.clear();
  TcpImages images;
  end.state = TcpState::close;
  images.ends.push_back(end);
  EXPECT_EQ(compare_with_record(record, images), Lines{});
}

}  // namespace
}  // namespace lockstep::images
