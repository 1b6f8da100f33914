#include "cli/images/tcp_streams.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>

#include "cli/images/image_file.hpp"
#include "criu_images.pb.h"
#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

using test::endpoint;
using test::entry;
using test::words;

TcpEnd sample(const std::string& local = "10.0.0.1", const std::string& remote = "10.0.0.2") {
  return {endpoint(local, 80), endpoint(remote, 40000), TcpState::close_wait, 0xABC, 7000, 30, 9000, 20, 10};
}

class TcpStreamsTest : public ::testing::Test {
 protected:
  TcpImages read() {
    auto images = read_tcp_images(dir_.path());
    EXPECT_TRUE(images);
    return images ? std::move(*images) : TcpImages();
  }
  void write_files(const std::string& entries) {
    test::write_file(dir_ / "files.img", words({kCommonMagic, kFilesMagic}) + entries);
  }
  void write_stream(const std::string& bytes) { test::write_file(dir_ / "tcp-stream-abc.img", bytes); }

  void SetUp() override { test::write_file(dir_ / "inventory.img", test::inventory_image()); }

  test::TempDir dir_;
};

void expect_same(const TcpEnd& end, const TcpEnd& expected) {
  EXPECT_EQ(end.local, expected.local);
  EXPECT_EQ(end.remote, expected.remote);
  EXPECT_EQ(end.state, expected.state);
  EXPECT_EQ(end.inode, expected.inode);
  EXPECT_EQ(end.received, expected.received);
  EXPECT_EQ(end.unread, expected.unread);
  EXPECT_EQ(end.written, expected.written);
  EXPECT_EQ(end.unacknowledged, expected.unacknowledged);
  EXPECT_EQ(end.unsent, expected.unsent);
}

TEST_F(TcpStreamsTest, ReadsAnEndHoweverItsAddressesAreWritten) {
  for (const auto& style : {test::SocketStyle{}, test::SocketStyle{true, false}, test::SocketStyle{false, true}}) {
    test::write_images(dir_.path(), {sample()}, style);
    const TcpImages images = read();
    ASSERT_EQ(images.ends.size(), 1U);
    expect_same(images.ends[0], sample());
    EXPECT_TRUE(images.problems.empty());
    EXPECT_EQ(images.stale, 0U);
  }
  test::write_images(dir_.path(), {sample("fd00::1", "fd00::2")});
  ASSERT_EQ(read().ends.size(), 1U);
  expect_same(read().ends[0], sample("fd00::1", "fd00::2"));
}

TEST_F(TcpStreamsTest, ReadsTheListOfOldCrius) {
  write_stream(test::stream_image(sample()));
  test::write_file(dir_ / "inetsk.img", words({kInetSocketsMagic}) + test::socket_entry(sample()));
  ASSERT_EQ(read().ends.size(), 1U);
  expect_same(read().ends[0], sample());
}

TEST_F(TcpStreamsTest, PassesOverAllOtherFiles) {
  TcpEnd listener = sample();
  listener.remote = {};
  criu_images::File udp;
  udp.set_type(4);
  udp.mutable_isk()->set_type(SOCK_DGRAM);
  udp.mutable_isk()->set_proto(IPPROTO_UDP);
  udp.mutable_isk()->set_dst_port(53);
  criu_images::File raw = udp;
  raw.mutable_isk()->set_type(SOCK_RAW);
  raw.mutable_isk()->set_proto(IPPROTO_TCP);
  // A regular file, with the fields that a real one has and we don't name.
  const std::string regular("\x08\x01\x10\x05\x1a\x06\x08\x05\x10\x00\x18\x07", 12);
  write_files(entry(regular) + test::file_entry(listener) + entry(udp.SerializeAsString()) +
              entry(raw.SerializeAsString()) + entry(""));
  const TcpImages images = read();
  EXPECT_TRUE(images.ends.empty());
  EXPECT_TRUE(images.problems.empty()) << images.problems.front();
}

TEST_F(TcpStreamsTest, SkipsFieldsItDoesNotKnow) {
  std::string image = test::stream_image(sample());
  const std::string unknown("\x28\xff\x01\x98\x06\x01", 6);  // opt_mask, and a number that nobody has given yet
  const auto size = static_cast<std::uint32_t>(image.size() - 12 - 50 + unknown.size());
  image = image.substr(0, 8) + words({size}) + unknown + image.substr(12);
  test::write_images(dir_.path(), {sample()});
  write_stream(image);
  ASSERT_EQ(read().ends.size(), 1U);
  expect_same(read().ends[0], sample());
}

TEST_F(TcpStreamsTest, TellsStaleImages) {
  test::write_images(dir_.path(), {sample()});
  write_files("");
  EXPECT_EQ(read().stale, 1U);
  EXPECT_TRUE(read().problems.empty());
}

TEST_F(TcpStreamsTest, EveryCutOfAStreamIsTold) {
  test::write_images(dir_.path(), {sample()});
  const std::string whole = test::stream_image(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_stream(whole.substr(0, size));
    const TcpImages images = read();
    ASSERT_EQ(images.problems, std::vector{dir_ / "tcp-stream-abc.img" + std::string(": is cut off")}) << size;
    EXPECT_TRUE(images.ends.empty());
    EXPECT_EQ(images.unsaved.size(), 1U);
  }
}

TEST_F(TcpStreamsTest, EveryCutOfTheListIsTold) {
  test::write_images(dir_.path(), {sample()});
  const std::string whole = test::read_file(dir_ / "files.img");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    test::write_file(dir_ / "files.img", whole.substr(0, size));
    const TcpImages images = read();
    EXPECT_TRUE(images.ends.empty());
    EXPECT_EQ(images.problems.size(), size == 8 ? 0U : 1U) << size;
    EXPECT_EQ(images.stale, size == 8 ? 1U : 0U) << size;  // an empty list is whole
  }
}

TEST_F(TcpStreamsTest, MissingFiles) {
  EXPECT_EQ(read_tcp_images(dir_ / "nothing").error().sys_errno, ENOENT);
  EXPECT_EQ(read().problems,
            std::vector{dir_ / "files.img" + std::string(": is missing: this is no folder of CRIU's images")});
  write_files(test::file_entry(sample()));
  const TcpImages images = read();
  ASSERT_EQ(images.problems.size(), 1U);
  EXPECT_EQ(images.problems[0],
            dir_ / "tcp-stream-abc.img" +
                std::string(": is missing: the connection 10.0.0.1:80 to 10.0.0.2:40000 has not been saved"));
}

TEST_F(TcpStreamsTest, AnUnfinishedDump) {
  test::write_images(dir_.path(), {sample()});
  const std::string whole = test::inventory_image();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    test::write_file(dir_ / "inventory.img", whole.substr(0, size));
    EXPECT_EQ(read().problems, std::vector{dir_ / "inventory.img" + std::string(": is cut off")}) << size;
  }
  std::filesystem::remove(dir_ / "inventory.img");
  EXPECT_EQ(read().problems,
            std::vector{dir_ / "inventory.img" + std::string(": is missing: the dump was not finished")});
  EXPECT_EQ(read().ends.size(), 1U);  // shown all the same
}

TEST_F(TcpStreamsTest, DumpedWithTcpClose) {
  write_files(test::file_entry(sample()));
  test::write_file(dir_ / "inventory.img", test::inventory_image(true));
  const TcpImages images = read();
  EXPECT_TRUE(images.tcp_close);
  EXPECT_TRUE(images.problems.empty());
  EXPECT_TRUE(images.ends.empty());
  EXPECT_EQ(images.unsaved.size(), 1U);
}

TEST_F(TcpStreamsTest, StreamsThatMakeNoSense) {
  write_files(test::file_entry(sample()));
  const auto problem = [&](const std::string& bytes) {
    write_stream(words({kCommonMagic, kTcpStreamMagic}) + bytes);
    const TcpImages images = read();
    return images.problems.empty() ? std::string() : images.problems.front().substr(dir_.path().size() + 19);
  };
  EXPECT_EQ(problem(entry("\xFF\xFF")), ": has an entry that is no protobuf message");
  EXPECT_EQ(problem(entry("")), ": lacks a sequence number or a queue's length");
  criu_images::TcpStream stream;
  stream.set_inq_len(0);
  stream.set_inq_seq(1);
  stream.set_outq_len(5);
  stream.set_outq_seq(1);
  EXPECT_EQ(problem(entry(stream.SerializeAsString()) + "12345"), ": lacks a sequence number or a queue's length");
  stream.set_unsq_len(6);
  EXPECT_EQ(problem(entry(stream.SerializeAsString()) + "12345"), ": has more bytes unsent than are queued");
  stream.set_unsq_len(5);
  EXPECT_EQ(problem(entry(stream.SerializeAsString()) + "12345"), "");
  stream.set_inq_len(0xFFFFFFFF);
  stream.set_outq_len(0xFFFFFFFF);
  EXPECT_EQ(problem(entry(stream.SerializeAsString()) + "12345"), ": is cut off");
}

TEST_F(TcpStreamsTest, SocketsThatMakeNoSense) {
  criu_images::File good;
  const std::string bytes = test::file_entry(sample());
  ASSERT_TRUE(good.ParseFromString(bytes.substr(4)));
  const auto is_refused = [&](auto spoil) {
    criu_images::File file = good;
    spoil(*file.mutable_isk());
    write_files(entry(file.SerializeAsString()));
    return read().problems == std::vector{dir_ / "files.img" + std::string(": has a TCP socket that makes no sense")};
  };
  using Socket = criu_images::InetSocket;
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.clear_ino(); }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.set_family(AF_UNIX); }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.set_family(AF_INET6); }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.clear_src_addr(); }));
  EXPECT_TRUE(is_refused([](Socket& socket) {
    for (int i = 0; i < 4; ++i) socket.add_dst_addr(1);
  }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.set_dst_port(65536); }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.set_state(0); }));
  EXPECT_TRUE(is_refused([](Socket& socket) { socket.set_state(13); }));
}

}  // namespace
}  // namespace lockstep::images
