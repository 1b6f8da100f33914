/// Reads netlink datagrams message by message, and messages attribute by attribute. Pure, and safe on any bytes: every
/// length is checked against what is there, and headers are copied out, so the buffer needs no alignment.
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

struct NetlinkMessage {
  nlmsghdr header{};
  std::string_view payload;
};

struct NetlinkAttribute {
  std::uint16_t type = 0;  ///< without the NLA_F_ flags
  std::string_view payload;
};

/// What an NLMSG_ERROR says: 0 is an acknowledgement.
struct NetlinkAck {
  int sys_errno = 0;
  std::uint32_t sequence = 0;  ///< of the message that is acknowledged
  std::string text;            ///< the kernel's own words (extended acknowledgement); may be empty
};

/// Copies a T off the front of `bytes`; nothing when they are too few.
template <class T>
[[nodiscard]] std::optional<T> read_front(std::string_view bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Takes the next message off `rest`. Nothing at the end, and when no whole message is left: then `rest` is not empty.
[[nodiscard]] inline std::optional<NetlinkMessage> next_message(std::string_view& rest) {
  const auto header = read_front<nlmsghdr>(rest);
  if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > rest.size()) return std::nullopt;
  const NetlinkMessage message{*header, rest.substr(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr))};
  rest.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(std::size_t{header->nlmsg_len}), rest.size()));
  return message;
}

/// Takes the next attribute off `rest`. Nothing at the end, and when no whole attribute is left: then `rest` is not
/// empty.
[[nodiscard]] inline std::optional<NetlinkAttribute> next_attribute(std::string_view& rest) {
  const auto header = read_front<nlattr>(rest);
  if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > rest.size()) return std::nullopt;
  const NetlinkAttribute attribute{static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
                                   rest.substr(sizeof(nlattr), header->nla_len - sizeof(nlattr))};
  rest.remove_prefix(std::min<std::size_t>(NLA_ALIGN(std::size_t{header->nla_len}), rest.size()));
  return attribute;
}

/// Reads the payload of an NLMSG_ERROR. Nothing when it is too short.
[[nodiscard]] inline std::optional<NetlinkAck> parse_ack(const NetlinkMessage& message) {
  const auto error = read_front<nlmsgerr>(message.payload);
  if (!error) return std::nullopt;
  // Errors are negative errno values; anything else is nothing that the kernel sends.
  const bool sane = error->error <= 0 && error->error > -4096;
  NetlinkAck ack{sane ? -error->error : EPROTO, error->msg.nlmsg_seq, {}};
  if ((message.header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return ack;
  // Only a message that was not capped comes back whole, in front of the attributes.
  std::size_t skip = sizeof(nlmsgerr);
  if ((message.header.nlmsg_flags & NLM_F_CAPPED) == 0 && error->msg.nlmsg_len > sizeof(nlmsghdr))
    skip += NLMSG_ALIGN(std::size_t{error->msg.nlmsg_len}) - sizeof(nlmsghdr);
  std::string_view attributes = message.payload.substr(std::min(skip, message.payload.size()));
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type != NLMSGERR_ATTR_MSG) continue;
    ack.text = attribute->payload.substr(0, attribute->payload.find('\0'));
  }
  return ack;
}

}  // namespace lockstep
