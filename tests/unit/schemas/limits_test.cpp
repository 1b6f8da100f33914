/// Sizes: what fits, what does not, and how much memory hostile bytes can make us take.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/schemas/msgpack_edit.hpp"
#include "tests/unit/schemas/samples.hpp"

namespace lockstep {
namespace {

using test::packed;
using test::with_field;

template <class T>
Message message_of(T body) {
  return {RoundId("r"), GroupId("g"), MemberId("m"), 1, std::move(body)};
}

TEST(Texts, OfFourKibibytesFitAndLongerOnesAreRefused) {
  const auto text = [](std::size_t size) { return packed([&](auto& out) { out.pack(std::string(size, 'x')); }); };
  const Message message = message_of(AbortRound{"x"});
  EXPECT_TRUE(decode(with_field(message, 0, text(kMaxText))));
  EXPECT_FALSE(decode(with_field(message, 0, text(kMaxText + 1))));
}

TEST(Texts, ThatAreTooLongAreSentCutRatherThanInVain) {
  const auto received = decode(encode(message_of(AbortRound{std::string(3 * kMaxText, 'x')})));
  ASSERT_TRUE(received);
  EXPECT_EQ(std::get<AbortRound>(received->body).reason, std::string(kMaxText, 'x'));
}

TEST(Lists, OfSocketsAndMembersEndAtTheirLimits) {
  const auto inodes = [](std::size_t count) {
    HookEvent event;
    event.socket_inodes.assign(count, 1);
    return encode(message_of(event));
  };
  EXPECT_TRUE(decode(inodes(kMaxSockets)));
  EXPECT_FALSE(decode(inodes(kMaxSockets + 1)));
  const auto members = [](std::size_t count) {
    OpenRound open;
    open.members.assign(count, {MemberId("m"), {}, {}, {}});
    return encode(message_of(open));
  };
  EXPECT_TRUE(decode(members(kMaxMembers)));
  EXPECT_FALSE(decode(members(kMaxMembers + 1)));
}

TEST(SocketTables, OfTwoHundredThousandFitIntoAFrame) {
  const std::string bytes = encode(message_of(Ready{Phase::lock, true, {}, {}, SocketTable(200'000, test::busy_socket())}));
  EXPECT_LE(bytes.size(), kMaxFrame);
  const auto received = decode(bytes);
  ASSERT_TRUE(received) << received.error().message();
  EXPECT_EQ(std::get<Ready>(received->body).sockets.size(), 200'000U);
}

TEST(SocketTables, TakeLessThanAHundredBytesASocket) {
  const auto bytes_each = [](const Socket& socket) {
    const auto size_of = [&](std::size_t count) {
      return encode(message_of(Ready{Phase::lock, true, {}, {}, SocketTable(count, socket)})).size();
    };
    return (size_of(1'100) - size_of(1'000)) / 100;
  };
  EXPECT_LT(bytes_each(test::busy_socket()), 100U);
  EXPECT_LE(bytes_each(test::largest_socket()), 105U) << "every number at its largest, which no kernel shows";
}

TEST(NatEntries, EndAtTheLimitOfSockets) {
  const auto received = [](std::size_t count) {
    Ready ready;
    ready.nat.assign(count, NatEntry{});
    return decode(encode(message_of(ready)));
  };
  EXPECT_TRUE(received(kMaxSockets));
  EXPECT_FALSE(received(kMaxSockets + 1));
}

TEST(NatEntries, ThatThereIsRoomForFitIntoAFrameBesideTheSockets) {
  for (const std::size_t sockets : {std::size_t{0}, std::size_t{1'000}, std::size_t{150'000}, kMaxSockets}) {
    Ready ready{Phase::lock, true, {}, {}, SocketTable(sockets, test::largest_socket())};
    ready.nat.assign(room_for_nat(sockets), test::largest_nat_entry());
    const std::string bytes = encode(message_of(ready));
    EXPECT_LE(bytes.size(), kMaxFrame) << sockets;
    const auto received = decode(bytes);
    ASSERT_TRUE(received) << received.error().message();
    EXPECT_EQ(std::get<Ready>(received->body).nat.size(), ready.nat.size());
  }
  EXPECT_EQ(room_for_nat(0), kMaxSockets);
  EXPECT_GE(room_for_nat(120'000), 120'000U) << "one for each socket";
  EXPECT_GT(room_for_nat(kMaxSockets), 0U);
}

TEST(Frames, LargerThanTheLimitAreRefusedUnread) {
  const auto message = decode(std::string(kMaxFrame + 1, '\x91'));
  ASSERT_FALSE(message);
  EXPECT_NE(message.error().message().find("larger than the limit"), std::string::npos);
}

TEST(Nesting, BeyondWhatMessagesNeedIsRefused) {
  for (const std::size_t depth : {9U, 100U, 100'000U, 10'000'000U}) {
    EXPECT_FALSE(decode(std::string(depth, '\x91') + '\xc0')) << depth;
  }
}

// --- announcements: a few bytes that promise gigabytes --------------------------------------------------------------

std::size_t peak_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmPeak:") continue;
    std::size_t kib = 0;
    status >> kib;
    return kib << 10;
  }
  return 0;
}

/// By how much decoding `bytes` raises the address space of a process that does nothing else, in MiB.
int mebibytes_to_decode(const std::string& bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::size_t before = peak_of_this_process();
    const bool refused = !decode(bytes) && !decode_record(bytes);
    ::_exit(refused ? static_cast<int>(std::min<std::size_t>((peak_of_this_process() - before) >> 20, 250)) : 255);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

std::string repeated(const std::string& part, std::size_t times) {
  std::string bytes;
  for (std::size_t i = 0; i < times; ++i) bytes += part;
  return bytes;
}

TEST(Announcements, OfGigabytesTakeNoMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own memory would be measured";
#endif
  const std::string array32("\xdd\xff\xff\xff\xff", 5);
  const std::string filler(1 << 20, '\xc0');
  struct Row {
    const char* name;
    std::string bytes;
    int limit;  ///< MiB
  };
  for (const Row& row : {Row{"array", array32, 1}, Row{"map", std::string("\xdf\xff\xff\xff\xff", 5), 1},
                         Row{"text", std::string("\xdb\xff\xff\xff\xff", 5), 1},
                         Row{"bytes", std::string("\xc6\xff\xff\xff\xff", 5), 1},
                         Row{"ext", std::string("\xc9\xff\xff\xff\xff\x01", 6), 1},
                         Row{"arrays in arrays", repeated(array32, 7), 1},
                         Row{"largest array, no elements", std::string("\xdd\x00\x03\xd0\x90", 5), 1},
                         Row{"largest arrays in each other, in a megabyte",
                             repeated(std::string("\xdd\x00\x03\xd0\x90", 5), 7) + filler, 48 + 40}}) {
    EXPECT_LE(mebibytes_to_decode(row.bytes), row.limit) << row.name;
  }
}

TEST(Announcements, InARecordTakeNoMemoryEither) {
  for (const char* length : {"\xff\xff\xff\xff", "\x7f\xff\xff\xff"}) {
    EXPECT_FALSE(decode_record(std::string("LOCKSTEP-RECORD\n\x01") + std::string(length, 4) + std::string(4, '\0')));
  }
}

}  // namespace
}  // namespace lockstep
