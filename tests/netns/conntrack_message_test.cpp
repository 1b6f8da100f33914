/// agent/kernel/conntrack_message without a kernel: what a request looks like, and entries that are none.
#include "agent/kernel/conntrack_message.hpp"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <random>

#include "common/netlink_reader.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

const Flow kFlow{make_endpoint("10.0.0.1", 40'000), make_endpoint("10.96.0.1", 80)};
const Flow kBack{make_endpoint("10.0.0.2", 8'080), make_endpoint("10.0.0.1", 40'000)};
const Flow kV6Flow{make_endpoint("fd00::1", 40'000), make_endpoint("fd96::1", 80)};
constexpr std::size_t kHead = sizeof(nlmsghdr) + sizeof(nfgenmsg);

/// The tuple that a request about the flow carries, as one of an entry's directions.
std::string direction(const Flow& flow, std::uint16_t type) {
  std::string request;
  append_conntrack_request(request, flow, 1);
  std::string attribute = request.substr(kHead);
  attribute[2] = static_cast<char>(type);
  return attribute;
}

std::string entry(const Flow& original, const Flow& reply) {
  return std::string(sizeof(nfgenmsg), '\0') + direction(original, CTA_TUPLE_ORIG) + direction(reply, CTA_TUPLE_REPLY);
}

TEST(ConntrackRequest, IsOneMessageOfItsFamilyAndNumber) {
  std::string datagram;
  append_conntrack_request(datagram, kFlow, 7);
  append_conntrack_request(datagram, kV6Flow, 8);
  std::string_view rest = datagram;
  for (const int family : {AF_INET, AF_INET6}) {
    const auto message = next_message(rest);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->header.nlmsg_type, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
    EXPECT_EQ(message->header.nlmsg_flags, NLM_F_REQUEST) << "creates nothing, and has one answer";
    EXPECT_EQ(message->header.nlmsg_seq, family == AF_INET ? 7U : 8U);
    EXPECT_EQ(message->payload[0], family);
  }
  EXPECT_TRUE(rest.empty());
}

TEST(ConntrackDump, AsksForEverything) {
  std::string datagram;
  append_conntrack_dump(datagram, 9);
  std::string_view rest = datagram;
  const auto message = next_message(rest);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(message->header.nlmsg_type, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
  EXPECT_EQ(message->header.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
  EXPECT_EQ(message->payload, std::string(sizeof(nfgenmsg), '\0')) << "no family, no filter";
}

TEST(ConntrackEntry, ComesBackWithBothDirections) {
  for (const Flow& original : {kFlow, kV6Flow}) {
    const auto found = parse_conntrack_entry(entry(original, kBack));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, (NatEntry{original.from, original.to, kBack.from, kBack.to}));
    EXPECT_TRUE(found->translates());
  }
  EXPECT_FALSE(parse_conntrack_entry(entry(kFlow, {kFlow.to, kFlow.from}))->translates());
}

TEST(ConntrackEntry, OfAnotherProtocolOrWithOneDirectionIsNone) {
  EXPECT_EQ(parse_conntrack_entry(std::string(sizeof(nfgenmsg), '\0') + direction(kFlow, CTA_TUPLE_ORIG)),
            std::nullopt);
  std::string udp = entry(kFlow, kBack);
  for (std::size_t at = udp.find('\x06'); at != std::string::npos; at = udp.find('\x06', at + 1)) udp[at] = '\x11';
  EXPECT_EQ(parse_conntrack_entry(udp), std::nullopt);
}

TEST(ConntrackEntry, ThatIsTornOrGarbledIsReadWithoutHarm) {
  const std::string whole = entry(kFlow, kV6Flow);
  for (std::size_t size = 0; size < whole.size(); ++size) (void)parse_conntrack_entry(whole.substr(0, size));
  EXPECT_EQ(parse_conntrack_entry(whole.substr(0, whole.size() - 4)), std::nullopt);
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = whole;
    for (int change = 0; change < 3; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    (void)parse_conntrack_entry(bytes);
  }
}

}  // namespace
}  // namespace lockstep::testing
