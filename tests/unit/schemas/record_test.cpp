/// The record in the images folder: torn, altered and foreign files are told from whole ones.
#include <gtest/gtest.h>

#include "schemas/codec.hpp"
#include "tests/unit/schemas/samples.hpp"

namespace lockstep {
namespace {

constexpr std::size_t kHeader = 16 + 1 + 4 + 4;  // magic, version, length, CRC-32

TEST(Record, ComesBackAsItWasWritten) {
  const Record record = test::a_record();
  EXPECT_EQ(test::fields_at_default(record), 0);
  const auto read = decode_record(encode_record(record));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(test::same(*read, record));
  EXPECT_EQ(encode_record(*read), encode_record(record));
}

TEST(Record, WithTwoHundredThousandSocketsFitsIntoAFrame) {
  Record record = test::a_record();
  record.sockets.assign(200'000, test::busy_socket());
  record.labels.assign(200'000, {ConnectionLabel::internal, Doubt::none, 1, 199'999});
  const std::string file = encode_record(record);
  EXPECT_LT(file.size(), kMaxFrame);
  ASSERT_TRUE(decode_record(file));
  const auto order = decode(encode(Message{{}, {}, {}, 1, Store{Blob{file}}}));
  ASSERT_TRUE(order) << "and into the message that carries it";
}

TEST(Record, TruncatedAtAnyByteIsRefused) {
  const std::string file = encode_record(test::a_record());
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(decode_record(std::string_view(file).substr(0, size))) << size;
  }
}

TEST(Record, WithAnyBitChangedIsRefused) {
  const std::string file = encode_record(test::a_record());
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      EXPECT_FALSE(decode_record(changed)) << "byte " << at << " bit " << bit;
    }
  }
}

TEST(Record, WithBytesBehindItIsRefused) {
  EXPECT_FALSE(decode_record(encode_record(test::a_record()) + "x"));
}

TEST(Record, TellsWhatIsWrong) {
  const std::string file = encode_record(test::a_record());
  std::string other_version = file;
  other_version[16] = 9;
  std::string damaged = file;
  damaged.back() = static_cast<char>(damaged.back() + 1);
  struct Row {
    std::string bytes;
    const char* says;
  };
  for (const Row& row : {Row{"", "not a record of lockstep"}, Row{"GIF89a", "not a record of lockstep"},
                         Row{std::string(4096, '\0'), "not a record of lockstep"},
                         Row{"\x7f" "ELF" + std::string(100, 'x'), "not a record of lockstep"},
                         Row{file.substr(0, kHeader - 1), "not a record of lockstep"},
                         Row{other_version, "another version"}, Row{damaged, "checksum"},
                         Row{file.substr(0, file.size() - 1), "damaged"},
                         Row{std::string(kMaxFrame + 1, 'L'), "larger than the limit"}}) {
    const auto record = decode_record(row.bytes);
    ASSERT_FALSE(record) << row.says;
    EXPECT_NE(record.error().message().find(row.says), std::string::npos) << record.error().message();
  }
}

TEST(Record, WhoseLabelsDoNotBelongToItsSocketsIsRefused) {
  Record record = test::a_record();
  record.labels.clear();
  EXPECT_FALSE(decode_record(encode_record(record)));
  record = test::a_record();
  record.labels[0].peer_member = 2;  // of two members
  EXPECT_FALSE(decode_record(encode_record(record)));
}

TEST(Record, ThatIsAMessageOrTheOtherWayRoundIsRefused) {
  EXPECT_FALSE(decode_record(encode(Message{{}, {}, {}, 1, Alive{}})));
  EXPECT_FALSE(decode(encode_record(test::a_record())));
}

TEST(Record, OfAKnownFileIsReadByEveryLaterVersion) {
  // The smallest record, byte by byte: files on disk outlive the program that wrote them.
  const std::string body("\x9c\xa1r\xa1g\xa1m\x92\xa0\x00\x00\xc2\x00\x90\x90\x90\xc2\x90\x90", 19);
  std::string file = encode_record({RoundId("r"), GroupId("g"), MemberId("m"), {}, {}, 0, false, 0, {}, {}, {}});
  EXPECT_EQ(file.substr(kHeader), body);
  EXPECT_EQ(file.substr(0, 21), std::string("LOCKSTEP-RECORD\n\x03\0\0\0\x13", 21));
  ASSERT_TRUE(decode_record(file));

  const std::string second(
      "LOCKSTEP-RECORD\n\x02\0\0\0\x11\x79\x22\xbc\xdb"
      "\x9a\xa1r\xa1g\xa1m\x92\xa0\x00\x00\xc2\x00\x90\x90\x90\x90",
      42);
  const auto read = decode_record(second);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->member, MemberId("m"));
  EXPECT_FALSE(read->conditional);
}

}  // namespace
}  // namespace lockstep
