#include "agent/kernel/nft_encoding.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <array>
#include <cstddef>
#include <span>

#include "agent/kernel/nft_message.hpp"
#include "agent/kernel/pod_lock.hpp"

namespace lockstep {
namespace {

constexpr const char* kTable = "lockstep";
constexpr std::int32_t kPriority = -400;          ///< in front of connection tracking: nothing else sees the packets
constexpr std::uint32_t kUserlandEtherType = 10;  ///< the nft program's number for `type ether_type`
constexpr std::uint32_t kRegister = NFT_REG_1;

constexpr const char* name_of(ArmedSet set) { return set == ArmedSet::armed ? "armed" : "rearmed"; }

struct Chain {
  const char* name;
  std::uint32_t hook;
};
constexpr std::array kChains{Chain{"in", NF_INET_LOCAL_IN}, Chain{"out", NF_INET_LOCAL_OUT}};

// --- Expressions of a rule -----------------------------------------------------------------------------------------

template <class Fill>
void expression(NftMessage& rule, const char* name, Fill fill) {
  rule.nest(NFTA_LIST_ELEM, [&] {
    rule.text(NFTA_EXPR_NAME, name);
    rule.nest(NFTA_EXPR_DATA, fill);
  });
}

void load_meta(NftMessage& rule, nft_meta_keys key) {
  expression(rule, "meta", [&] {
    rule.u32(NFTA_META_DREG, kRegister);
    rule.u32(NFTA_META_KEY, key);
  });
}

void load_payload(NftMessage& rule, nft_payload_bases base, std::size_t offset, std::size_t length) {
  expression(rule, "payload", [&] {
    rule.u32(NFTA_PAYLOAD_DREG, kRegister);
    rule.u32(NFTA_PAYLOAD_BASE, base);
    rule.u32(NFTA_PAYLOAD_OFFSET, static_cast<std::uint32_t>(offset));
    rule.u32(NFTA_PAYLOAD_LEN, static_cast<std::uint32_t>(length));
  });
}

template <class T>
void compare(NftMessage& rule, nft_cmp_ops operation, const T& value) {
  expression(rule, "cmp", [&] {
    rule.u32(NFTA_CMP_SREG, kRegister);
    rule.u32(NFTA_CMP_OP, operation);
    rule.nest(NFTA_CMP_DATA, [&] { rule.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(&value, 1))); });
  });
}

void verdict(NftMessage& rule, int code) {
  expression(rule, "immediate", [&] {
    rule.u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    rule.nest(NFTA_IMMEDIATE_DATA, [&] {
      rule.nest(NFTA_DATA_VERDICT, [&] { rule.u32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code)); });
    });
  });
}

// --- Rules ---------------------------------------------------------------------------------------------------------

template <class Fill>
void add_rule(NftBatchBuilder& batch, const Chain& chain, Fill fill) {
  batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](NftMessage& rule) {
    rule.text(NFTA_RULE_TABLE, kTable);
    rule.text(NFTA_RULE_CHAIN, chain.name);
    rule.nest(NFTA_RULE_EXPRESSIONS, [&] { fill(rule); });
  });
}

void accept_criu_mark(NftBatchBuilder& batch, const Chain& chain) {
  add_rule(batch, chain, [](NftMessage& rule) {
    load_meta(rule, NFT_META_MARK);
    compare(rule, NFT_CMP_EQ, kCriuMark);
    verdict(rule, NF_ACCEPT);
  });
}

void accept_neighbour_discovery(NftBatchBuilder& batch, const Chain& chain) {
  add_rule(batch, chain, [](NftMessage& rule) {
    load_meta(rule, NFT_META_NFPROTO);
    compare(rule, NFT_CMP_EQ, std::uint8_t{NFPROTO_IPV6});
    load_meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, std::uint8_t{IPPROTO_ICMPV6});
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(icmp6_hdr, icmp6_type), 1);
    compare(rule, NFT_CMP_GTE, std::uint8_t{ND_ROUTER_SOLICIT});
    compare(rule, NFT_CMP_LTE, std::uint8_t{ND_NEIGHBOR_ADVERT});
    verdict(rule, NF_ACCEPT);
  });
}

void accept_peer(NftBatchBuilder& batch, const Chain& chain, const Endpoint& peer) {
  const bool v4 = peer.family == IpFamily::v4;
  const bool in = chain.hook == NF_INET_LOCAL_IN;
  const std::size_t v4_offset = in ? offsetof(iphdr, saddr) : offsetof(iphdr, daddr);
  const std::size_t v6_offset = in ? offsetof(ip6_hdr, ip6_src) : offsetof(ip6_hdr, ip6_dst);
  const std::size_t port_offset = in ? 0 : 2;  // TCP starts with its source and destination ports
  add_rule(batch, chain, [&](NftMessage& rule) {
    load_meta(rule, NFT_META_NFPROTO);
    compare(rule, NFT_CMP_EQ, static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6));
    load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? v4_offset : v6_offset, v4 ? 4 : 16);
    if (v4) {
      compare(rule, NFT_CMP_EQ, std::array{peer.address[0], peer.address[1], peer.address[2], peer.address[3]});
    } else {
      compare(rule, NFT_CMP_EQ, peer.address);
    }
    load_meta(rule, NFT_META_L4PROTO);
    compare(rule, NFT_CMP_EQ, std::uint8_t{IPPROTO_TCP});
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, port_offset, 2);
    compare(rule, NFT_CMP_EQ, htons(peer.port));
    verdict(rule, NF_ACCEPT);
  });
}

void drop_what_is_in(NftBatchBuilder& batch, const Chain& chain, ArmedSet set) {
  add_rule(batch, chain, [set](NftMessage& rule) {
    load_meta(rule, NFT_META_PROTOCOL);
    expression(rule, "lookup", [&] {
      rule.u32(NFTA_LOOKUP_SREG, kRegister);
      rule.text(NFTA_LOOKUP_SET, name_of(set));
    });
    verdict(rule, NF_DROP);
  });
}

// --- Tables, sets, chains ------------------------------------------------------------------------------------------

/// Adding first makes the deletion of a table that is not there succeed.
void add_and_delete_table(NftBatchBuilder& batch) {
  batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE, [](NftMessage& table) { table.text(NFTA_TABLE_NAME, kTable); });
  batch.add(NFT_MSG_DELTABLE, 0, [](NftMessage& table) { table.text(NFTA_TABLE_NAME, kTable); });
}

void add_set(NftBatchBuilder& batch, ArmedSet which) {
  batch.add(NFT_MSG_NEWSET, NLM_F_CREATE, [which](NftMessage& set) {
    set.text(NFTA_SET_TABLE, kTable);
    set.text(NFTA_SET_NAME, name_of(which));
    set.u32(NFTA_SET_FLAGS, NFT_SET_TIMEOUT);
    set.u32(NFTA_SET_KEY_TYPE, kUserlandEtherType);
    set.u32(NFTA_SET_KEY_LEN, sizeof(std::uint16_t));
    set.u32(NFTA_SET_ID, 1U + static_cast<std::uint32_t>(which));  // names the set within the batch; unused, demanded
  });
}

void add_chain(NftBatchBuilder& batch, const Chain& which) {
  batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, [&](NftMessage& chain) {
    chain.text(NFTA_CHAIN_TABLE, kTable);
    chain.text(NFTA_CHAIN_NAME, which.name);
    chain.nest(NFTA_CHAIN_HOOK, [&] {
      chain.u32(NFTA_HOOK_HOOKNUM, which.hook);
      chain.u32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(kPriority));
    });
    chain.u32(NFTA_CHAIN_POLICY, NF_ACCEPT);
    chain.text(NFTA_CHAIN_TYPE, "filter");
  });
}

/// A deletion that names no elements deletes all of them, and there may be none.
void flush_set(NftBatchBuilder& batch, ArmedSet which) {
  batch.add(NFT_MSG_DELSETELEM, 0, [which](NftMessage& set) {
    set.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
    set.text(NFTA_SET_ELEM_LIST_SET, name_of(which));
  });
}

void fill_set(NftBatchBuilder& batch, ArmedSet which, milliseconds timeout) {
  batch.add(NFT_MSG_NEWSETELEM, NLM_F_CREATE, [&](NftMessage& set) {
    set.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
    set.text(NFTA_SET_ELEM_LIST_SET, name_of(which));
    set.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
      for (const std::uint16_t ether_type : {htons(ETHERTYPE_IP), htons(ETHERTYPE_IPV6)}) {
        set.nest(NFTA_LIST_ELEM, [&] {
          set.nest(NFTA_SET_ELEM_KEY, [&] { set.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(&ether_type, 1))); });
          set.u64(NFTA_SET_ELEM_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
        });
      }
    });
  });
}

}  // namespace

Result<NftBatch> encode_prepare(std::uint32_t sequence, const std::vector<Endpoint>& exempt) {
  NftBatchBuilder batch(sequence);
  add_and_delete_table(batch);
  batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE, [](NftMessage& table) { table.text(NFTA_TABLE_NAME, kTable); });
  for (const ArmedSet set : {ArmedSet::armed, ArmedSet::rearmed}) add_set(batch, set);
  for (const Chain& chain : kChains) {
    add_chain(batch, chain);
    accept_criu_mark(batch, chain);
    accept_neighbour_discovery(batch, chain);
    for (const Endpoint& peer : exempt) accept_peer(batch, chain, peer);
    for (const ArmedSet set : {ArmedSet::armed, ArmedSet::rearmed}) drop_what_is_in(batch, chain, set);
  }
  return batch.finish();
}

Result<NftBatch> encode_fill(std::uint32_t sequence, ArmedSet set, milliseconds timeout) {
  // Elements that are still there would keep their old time on kernels before 6.12: out with them, in the same step.
  NftBatchBuilder batch(sequence);
  flush_set(batch, set);
  fill_set(batch, set, timeout);
  return batch.finish();
}

Result<NftBatch> encode_flush(std::uint32_t sequence, ArmedSet set) {
  NftBatchBuilder batch(sequence);
  flush_set(batch, set);
  return batch.finish();
}

Result<NftBatch> encode_flush_both(std::uint32_t sequence) {
  NftBatchBuilder batch(sequence);
  flush_set(batch, ArmedSet::armed);
  flush_set(batch, ArmedSet::rearmed);
  return batch.finish();
}

Result<NftBatch> encode_remove(std::uint32_t sequence) {
  NftBatchBuilder batch(sequence);
  add_and_delete_table(batch);
  return batch.finish();
}

}  // namespace lockstep
