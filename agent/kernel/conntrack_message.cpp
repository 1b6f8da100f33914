#include "agent/kernel/conntrack_message.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "common/netlink_reader.hpp"

namespace lockstep {
namespace {

constexpr std::uint8_t kTcp = IPPROTO_TCP;

std::size_t length_of(IpFamily family) { return family == IpFamily::v4 ? 4 : 16; }

void append_bytes(std::string& out, std::uint16_t type, const void* value, std::size_t size) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
  out.append(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(static_cast<const char*>(value), size);
  out.resize(NLA_ALIGN(out.size()));
}

void append_port(std::string& out, std::uint16_t type, std::uint16_t port) {
  const std::uint16_t value = htons(port);
  append_bytes(out, type, &value, sizeof value);
}

/// `fill` appends the attributes that stand inside.
template <class Fill>
void append_nest(std::string& out, std::uint16_t type, Fill fill) {
  const std::size_t start = out.size();
  out.resize(start + sizeof(nlattr));
  fill();
  const nlattr header{static_cast<std::uint16_t>(out.size() - start), static_cast<std::uint16_t>(type | NLA_F_NESTED)};
  std::memcpy(out.data() + start, &header, sizeof header);
}

/// A request to read (IPCTNL_MSG_CT_GET). `fill` appends its attributes.
template <class Fill>
void append_message(std::string& out, std::uint8_t family, std::uint16_t flags, std::uint32_t sequence, Fill fill) {
  const std::size_t start = out.size();
  out.resize(start + sizeof(nlmsghdr));
  const nfgenmsg body{family, NFNETLINK_V0, 0};
  out.append(reinterpret_cast<const char*>(&body), sizeof body);
  fill();
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(out.size() - start);
  header.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  std::memcpy(out.data() + start, &header, sizeof header);
}

/// The first attribute of a type; empty where there is none.
std::string_view attribute_of(std::string_view attributes, std::uint16_t type) {
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type == type) return attribute->payload;
  }
  return {};
}

std::optional<Endpoint> end_point(std::string_view addresses, std::uint16_t v4, std::uint16_t v6,
                                  std::string_view port) {
  Endpoint result;
  std::string_view address = attribute_of(addresses, v4);
  if (address.empty()) {
    address = attribute_of(addresses, v6);
    result.family = IpFamily::v6;
  }
  const auto number = read_front<std::uint16_t>(port);
  if (address.size() != length_of(result.family) || !number) return std::nullopt;
  std::copy(address.begin(), address.end(), result.address.begin());
  result.port = ntohs(*number);
  return result;
}

std::optional<Flow> flow_of(std::string_view tuple) {
  const std::string_view addresses = attribute_of(tuple, CTA_TUPLE_IP);
  const std::string_view protocol = attribute_of(tuple, CTA_TUPLE_PROTO);
  if (read_front<std::uint8_t>(attribute_of(protocol, CTA_PROTO_NUM)) != kTcp) return std::nullopt;
  const auto from = end_point(addresses, CTA_IP_V4_SRC, CTA_IP_V6_SRC, attribute_of(protocol, CTA_PROTO_SRC_PORT));
  const auto to = end_point(addresses, CTA_IP_V4_DST, CTA_IP_V6_DST, attribute_of(protocol, CTA_PROTO_DST_PORT));
  if (!from || !to) return std::nullopt;
  return Flow{*from, *to};
}

}  // namespace

void append_conntrack_request(std::string& datagram, const Flow& flow, std::uint32_t sequence) {
  const bool v4 = flow.from.family == IpFamily::v4;
  append_message(datagram, v4 ? AF_INET : AF_INET6, NLM_F_REQUEST, sequence, [&] {
    append_nest(datagram, CTA_TUPLE_ORIG, [&] {
      append_nest(datagram, CTA_TUPLE_IP, [&] {
        const std::size_t length = length_of(flow.from.family);
        append_bytes(datagram, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, flow.from.address.data(), length);
        append_bytes(datagram, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, flow.to.address.data(), length);
      });
      append_nest(datagram, CTA_TUPLE_PROTO, [&] {
        append_bytes(datagram, CTA_PROTO_NUM, &kTcp, sizeof kTcp);
        append_port(datagram, CTA_PROTO_SRC_PORT, flow.from.port);
        append_port(datagram, CTA_PROTO_DST_PORT, flow.to.port);
      });
    });
  });
}

void append_conntrack_dump(std::string& datagram, std::uint32_t sequence) {
  append_message(datagram, AF_UNSPEC, NLM_F_REQUEST | NLM_F_DUMP, sequence, [] {});
}

std::optional<NatEntry> parse_conntrack_entry(std::string_view payload) {
  const std::size_t head = NLMSG_ALIGN(sizeof(nfgenmsg));
  if (payload.size() < head) return std::nullopt;
  const std::string_view attributes = payload.substr(head);
  const auto original = flow_of(attribute_of(attributes, CTA_TUPLE_ORIG));
  const auto reply = flow_of(attribute_of(attributes, CTA_TUPLE_REPLY));
  if (!original || !reply) return std::nullopt;
  return NatEntry{original->from, original->to, reply->from, reply->to};
}

}  // namespace lockstep
