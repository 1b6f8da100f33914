/// agent/kernel/inet_diag_reply without a kernel: entries of all kinds, and bytes that are none.
#include "agent/kernel/inet_diag_reply.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <cstring>
#include <random>

namespace lockstep::testing {
namespace {

constexpr std::uint32_t kSequence = 5;

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string message(std::uint16_t type, const std::string& payload, std::uint16_t flags = 0,
                    std::uint32_t sequence = kSequence) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  std::string bytes;
  append(bytes, header);
  bytes += payload;
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

inet_diag_msg entry(int family, const char* source, const char* destination) {
  inet_diag_msg result{};
  result.idiag_family = static_cast<std::uint8_t>(family);
  result.idiag_state = 1;
  ::inet_pton(family, source, result.id.idiag_src);
  ::inet_pton(family, destination, result.id.idiag_dst);
  result.id.idiag_sport = htons(1000);
  result.id.idiag_dport = htons(2000);
  result.id.idiag_cookie[0] = 7;
  result.id.idiag_cookie[1] = 1;
  result.idiag_rqueue = 3;
  result.idiag_wqueue = 4;
  result.idiag_uid = 6;
  result.idiag_inode = 99;
  return result;
}

/// The entry with a tcp_info of `length` bytes, whose byte counters (at 120 and 128) are 11 and 22.
std::string with_tcp_info(const inet_diag_msg& head, std::size_t length) {
  std::string info(std::max<std::size_t>(length, 136), '\0');
  const std::uint64_t acked = 11;
  const std::uint64_t received = 22;
  std::memcpy(info.data() + 120, &acked, sizeof acked);
  std::memcpy(info.data() + 128, &received, sizeof received);
  info.resize(length);
  std::string payload;
  append(payload, head);
  nlattr attribute{};
  attribute.nla_type = INET_DIAG_INFO;
  attribute.nla_len = static_cast<std::uint16_t>(sizeof attribute + length);
  append(payload, attribute);
  return payload + info;
}

SocketTable parsed(const std::string& bytes, const InodeSet* wanted = nullptr) {
  SocketTable table;
  const auto progress = parse_inet_diag(bytes, kSequence, wanted, table);
  EXPECT_TRUE(progress) << progress.error().message();
  return table;
}

TEST(InetDiagReply, ReadsEveryField) {
  const SocketTable table =
      parsed(message(SOCK_DIAG_BY_FAMILY, with_tcp_info(entry(AF_INET, "10.0.0.1", "10.0.0.2"), 232)));
  ASSERT_EQ(table.size(), 1U);
  const Socket expected{.local = {IpFamily::v4, {10, 0, 0, 1}, 1000},
                        .remote = {IpFamily::v4, {10, 0, 0, 2}, 2000},
                        .state = TcpState::established,
                        .inode = 99,
                        .cookie = (1ULL << 32) + 7,
                        .receive_queue = 3,
                        .send_queue = 4,
                        .uid = 6,
                        .bytes_acked = 11,
                        .bytes_received = 22,
                        .v6_socket = false};
  EXPECT_EQ(table[0], expected);
}

TEST(InetDiagReply, ShortTcpInfoOfOldKernels) {
  const inet_diag_msg head = entry(AF_INET, "10.0.0.1", "10.0.0.2");
  for (const std::size_t length : {0U, 104U, 120U, 127U, 128U, 135U, 136U}) {
    const SocketTable table = parsed(message(SOCK_DIAG_BY_FAMILY, with_tcp_info(head, length)));
    ASSERT_EQ(table.size(), 1U);
    EXPECT_EQ(table[0].bytes_acked, length >= 128 ? 11U : 0U) << length;
    EXPECT_EQ(table[0].bytes_received, length >= 136 ? 22U : 0U) << length;
  }
}

TEST(InetDiagReply, MappedAddressesAreIpv4) {
  std::string payload;
  append(payload, entry(AF_INET6, "::ffff:10.0.0.1", "::ffff:10.0.0.2"));
  std::string listener;
  append(listener, entry(AF_INET6, "::ffff:10.0.0.1", "::"));
  std::string real;
  append(real, entry(AF_INET6, "fd00::1", "fd00::2"));
  const SocketTable table = parsed(message(SOCK_DIAG_BY_FAMILY, payload) + message(TCPDIAG_GETSOCK, listener) +
                                   message(SOCK_DIAG_BY_FAMILY, real));
  ASSERT_EQ(table.size(), 3U);
  EXPECT_EQ(table[0].local, (Endpoint{IpFamily::v4, {10, 0, 0, 1}, 1000}));
  EXPECT_EQ(table[0].remote, (Endpoint{IpFamily::v4, {10, 0, 0, 2}, 2000}));
  EXPECT_TRUE(table[0].v6_socket);
  EXPECT_EQ(table[1].remote, (Endpoint{IpFamily::v4, {}, 2000}));
  EXPECT_EQ(table[2].local.family, IpFamily::v6);
  EXPECT_EQ(table[2].local.address[15], 1);
}

TEST(InetDiagReply, FiltersByInodeAndNeverTakesInodeZero) {
  inet_diag_msg head = entry(AF_INET, "10.0.0.1", "10.0.0.2");
  std::string bytes;
  for (const std::uint32_t inode : {0U, 98U, 99U}) {
    head.idiag_inode = inode;
    std::string payload;
    append(payload, head);
    bytes += message(SOCK_DIAG_BY_FAMILY, payload);
  }
  const InodeSet wanted{0, 99};
  const SocketTable table = parsed(bytes, &wanted);
  ASSERT_EQ(table.size(), 1U);
  EXPECT_EQ(table[0].inode, 99U);
}

TEST(InetDiagReply, ProgressAndErrors) {
  SocketTable table;
  std::string zero;
  append(zero, std::int32_t{0});
  EXPECT_TRUE(parse_inet_diag(message(NLMSG_DONE, zero), kSequence, nullptr, table)->done);
  EXPECT_TRUE(parse_inet_diag(message(NLMSG_DONE, zero, NLM_F_DUMP_INTR), kSequence, nullptr, table)->interrupted);
  EXPECT_FALSE(parse_inet_diag(message(NLMSG_DONE, zero, 0, kSequence + 1), kSequence, nullptr, table)->done);
  std::string failed;
  append(failed, std::int32_t{-ENOMEM});
  EXPECT_EQ(parse_inet_diag(message(NLMSG_DONE, failed), kSequence, nullptr, table).error().sys_errno, ENOMEM);
  nlmsgerr error{};
  error.error = -ENOENT;
  std::string refused;
  append(refused, error);
  EXPECT_EQ(parse_inet_diag(message(NLMSG_ERROR, refused), kSequence, nullptr, table).error().sys_errno, ENOENT);
  EXPECT_FALSE(parse_inet_diag(message(NLMSG_OVERRUN, {}), kSequence, nullptr, table));
  EXPECT_FALSE(parse_inet_diag(message(0x7777, {}), kSequence, nullptr, table));
}

TEST(InetDiagReply, RefusesUnknownStatesAndFamilies) {
  SocketTable table;
  inet_diag_msg head = entry(AF_INET, "10.0.0.1", "10.0.0.2");
  for (const int state : {0, 13, 255}) {
    head.idiag_state = static_cast<std::uint8_t>(state);
    std::string payload;
    append(payload, head);
    EXPECT_FALSE(parse_inet_diag(message(SOCK_DIAG_BY_FAMILY, payload), kSequence, nullptr, table)) << state;
  }
  std::string payload;
  head = entry(AF_INET, "10.0.0.1", "10.0.0.2");
  head.idiag_family = AF_UNIX;
  append(payload, head);
  EXPECT_FALSE(parse_inet_diag(message(SOCK_DIAG_BY_FAMILY, payload), kSequence, nullptr, table));
}

TEST(InetDiagReply, CutShortAnywhereIsRefused) {
  const std::string one = message(SOCK_DIAG_BY_FAMILY, with_tcp_info(entry(AF_INET, "10.0.0.1", "10.0.0.2"), 136));
  for (std::size_t length = 1; length < one.size(); ++length) {
    const std::string copy = one.substr(0, length);  // its own allocation, so that ASan sees a read past the end
    SocketTable table;
    EXPECT_FALSE(parse_inet_diag(copy, kSequence, nullptr, table)) << length;
  }
}

TEST(InetDiagReply, SurvivesGarbage) {
  std::mt19937 random(20240229);  // NOLINT: the same bytes in every run
  const std::string good = message(SOCK_DIAG_BY_FAMILY, with_tcp_info(entry(AF_INET6, "fd00::1", "::"), 232)) +
                           message(NLMSG_ERROR, std::string(40, '\xff'), NLM_F_ACK_TLVS) +
                           message(NLMSG_DONE, std::string(4, '\x80'));
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int change = 0; change < 4; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % (bytes.size() + 1));
    bytes.shrink_to_fit();
    SocketTable table;
    (void)parse_inet_diag(bytes, kSequence, nullptr, table);
    EXPECT_LE(table.size(), 1U);
  }
}

}  // namespace
}  // namespace lockstep::testing
