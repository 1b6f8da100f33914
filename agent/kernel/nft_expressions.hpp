/// The expressions that the lock's rules are made of, each as nft's own compiler would write it.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "agent/kernel/nft_message.hpp"

namespace lockstep::nft {

/// Where values stand on their way from one expression to the next. The 32-bit ones lie side by side: values put into
/// them one after the other, each padded to four bytes, make the key of a concatenation.
inline constexpr std::uint32_t kRegister = NFT_REG_1;
inline constexpr std::uint32_t kFirstKeyPart = NFT_REG32_00;

template <class Fill>
void expression(NftMessage& rule, const char* name, Fill fill) {
  rule.nest(NFTA_LIST_ELEM, [&] {
    rule.text(NFTA_EXPR_NAME, name);
    rule.nest(NFTA_EXPR_DATA, fill);
  });
}

inline void load_meta(NftMessage& rule, nft_meta_keys key) {
  expression(rule, "meta", [&] {
    rule.u32(NFTA_META_DREG, kRegister);
    rule.u32(NFTA_META_KEY, key);
  });
}

inline void load_payload(NftMessage& rule, nft_payload_bases base, std::size_t offset, std::size_t length,
                         std::uint32_t to = kRegister) {
  expression(rule, "payload", [&] {
    rule.u32(NFTA_PAYLOAD_DREG, to);
    rule.u32(NFTA_PAYLOAD_BASE, base);
    rule.u32(NFTA_PAYLOAD_OFFSET, static_cast<std::uint32_t>(offset));
    rule.u32(NFTA_PAYLOAD_LEN, static_cast<std::uint32_t>(length));
  });
}

template <class T>
void value(NftMessage& rule, int type, const T& data) {
  rule.nest(type, [&] { rule.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(&data, 1))); });
}

template <class T>
void compare(NftMessage& rule, nft_cmp_ops operation, const T& with) {
  expression(rule, "cmp", [&] {
    rule.u32(NFTA_CMP_SREG, kRegister);
    rule.u32(NFTA_CMP_OP, operation);
    value(rule, NFTA_CMP_DATA, with);
  });
}

/// Keeps the register's bits that are in `bits`.
template <class T>
void keep_bits(NftMessage& rule, const T& bits) {
  expression(rule, "bitwise", [&] {
    rule.u32(NFTA_BITWISE_SREG, kRegister);
    rule.u32(NFTA_BITWISE_DREG, kRegister);
    rule.u32(NFTA_BITWISE_LEN, sizeof bits);
    value(rule, NFTA_BITWISE_MASK, bits);
    value(rule, NFTA_BITWISE_XOR, T{});
  });
}

/// Goes on only when the set holds what begins in register `from`.
inline void lookup(NftMessage& rule, const char* set, std::uint32_t from = kRegister) {
  expression(rule, "lookup", [&] {
    rule.u32(NFTA_LOOKUP_SREG, from);
    rule.text(NFTA_LOOKUP_SET, set);
  });
}

inline void verdict(NftMessage& rule, int code) {
  expression(rule, "immediate", [&] {
    rule.u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    rule.nest(NFTA_IMMEDIATE_DATA, [&] {
      rule.nest(NFTA_DATA_VERDICT, [&] { rule.u32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code)); });
    });
  });
}

}  // namespace lockstep::nft
