/// A thin, typed layer over libnl's message functions, for nf_tables: big-endian numbers, nesting by scope, batches.
#pragma once

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "agent/kernel/nft_encoding.hpp"

namespace lockstep {

/// One message under construction. Running out of memory sticks, and is asked for once, at the end.
class NftMessage {
 public:
  NftMessage(std::uint16_t type, int flags, std::uint8_t family, std::uint16_t resource, std::uint32_t sequence)
      : message_(nlmsg_alloc()) {
    nlmsghdr* header = message_ ? nlmsg_put(message_.get(), 0, sequence, type, sizeof(nfgenmsg), flags) : nullptr;
    ok_ = header != nullptr;
    if (ok_) *static_cast<nfgenmsg*>(nlmsg_data(header)) = {family, NFNETLINK_V0, htons(resource)};
  }

  void bytes(int type, std::span<const std::byte> value) {
    ok_ = ok_ && nla_put(message_.get(), type, static_cast<int>(value.size()), value.data()) == 0;
  }
  void text(int type, const char* value) { ok_ = ok_ && nla_put_string(message_.get(), type, value) == 0; }
  void u32(int type, std::uint32_t value) { ok_ = ok_ && nla_put_u32(message_.get(), type, htonl(value)) == 0; }
  void u64(int type, std::uint64_t value) { ok_ = ok_ && nla_put_u64(message_.get(), type, htobe64(value)) == 0; }

  /// `fill` puts the attributes that stand inside.
  template <class Fill>
  void nest(int type, Fill fill) {
    nlattr* start = ok_ ? nla_nest_start(message_.get(), type) : nullptr;
    ok_ = start != nullptr;
    fill();
    ok_ = ok_ && nla_nest_end(message_.get(), start) == 0;
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string_view view() const {
    const nlmsghdr* header = nlmsg_hdr(message_.get());
    return {reinterpret_cast<const char*>(header), header->nlmsg_len};
  }

 private:
  struct Free {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
  };
  std::unique_ptr<nl_msg, Free> message_;
  bool ok_ = false;
};

/// A batch under construction: begin, messages about tables of one family, end. The kernel carries out all of it or nothing.
class NftBatchBuilder {
 public:
  explicit NftBatchBuilder(std::uint32_t sequence, std::uint8_t family = NFPROTO_INET) : family_(family) {
    batch_.first_sequence = sequence;
    batch_.last_sequence = sequence;
    append(NftMessage(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, sequence));
  }

  /// Appends a message; `fill` puts its attributes.
  template <class Fill>
  void add(int type, int flags, Fill fill) {
    const auto full_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
    NftMessage message(full_type, NLM_F_REQUEST | flags, family_, 0, ++batch_.last_sequence);
    fill(message);
    last_offset_ = batch_.bytes.size();
    append(message);
  }

  /// Ends the batch. Only its last message asks for an answer: errors of the others come without being asked for.
  [[nodiscard]] Result<NftBatch> finish() {
    if (!ok_) return fail(ErrorCode::system, "build nf_tables batch", "out of memory");
    auto* last = reinterpret_cast<nlmsghdr*>(batch_.bytes.data() + last_offset_);
    last->nlmsg_flags |= NLM_F_ACK;
    append(NftMessage(NFNL_MSG_BATCH_END, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, batch_.last_sequence + 1));
    if (!ok_) return fail(ErrorCode::system, "build nf_tables batch", "out of memory");
    return std::move(batch_);
  }

 private:
  void append(const NftMessage& message) {
    ok_ = ok_ && message.ok();
    if (ok_) batch_.bytes.append(message.view());
  }

  std::uint8_t family_;
  NftBatch batch_;
  std::size_t last_offset_ = 0;
  bool ok_ = true;
};

}  // namespace lockstep
