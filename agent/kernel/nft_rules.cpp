#include "agent/kernel/nft_rules.hpp"

#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <cstddef>

#include "agent/kernel/nft_expressions.hpp"
#include "agent/kernel/pod_lock.hpp"

namespace lockstep::nft {
namespace {

constexpr std::size_t kTcpFlags = 13;         ///< where they are in TCP's header
constexpr std::size_t kTcpSource = 0;
constexpr std::size_t kTcpDestination = 2;

template <class Fill>
void add_rule(NftBatchBuilder& batch, const Chain& chain, Fill fill) {
  batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](NftMessage& rule) {
    rule.text(NFTA_RULE_TABLE, kTable);
    rule.text(NFTA_RULE_CHAIN, chain.name);
    rule.nest(NFTA_RULE_EXPRESSIONS, [&] { fill(rule); });
  });
}

void match_family(NftMessage& rule, bool v4) {
  load_meta(rule, NFT_META_NFPROTO);
  compare(rule, NFT_CMP_EQ, static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6));
}

void match_protocol(NftMessage& rule, std::uint8_t protocol) {
  load_meta(rule, NFT_META_L4PROTO);
  compare(rule, NFT_CMP_EQ, protocol);
}

/// TCP whose flags among `mask` are exactly `flags`.
void match_tcp_flags(NftMessage& rule, std::uint8_t mask, std::uint8_t flags) {
  match_protocol(rule, IPPROTO_TCP);
  load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kTcpFlags, 1);
  keep_bits(rule, mask);
  compare(rule, NFT_CMP_EQ, flags);
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
    match_family(rule, false);
    match_protocol(rule, IPPROTO_ICMPV6);
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
  add_rule(batch, chain, [&](NftMessage& rule) {
    match_family(rule, v4);
    load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? v4_offset : v6_offset, v4 ? 4 : 16);
    if (v4) {
      compare(rule, NFT_CMP_EQ, std::array{peer.address[0], peer.address[1], peer.address[2], peer.address[3]});
    } else {
      compare(rule, NFT_CMP_EQ, peer.address);
    }
    match_protocol(rule, IPPROTO_TCP);
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, in ? kTcpSource : kTcpDestination, 2);
    compare(rule, NFT_CMP_EQ, htons(peer.port));
    verdict(rule, NF_ACCEPT);
  });
}

void accept_resets(NftBatchBuilder& batch, const Chain& chain) {
  add_rule(batch, chain, [](NftMessage& rule) {
    match_tcp_flags(rule, TH_RST, TH_RST);
    load_meta(rule, NFT_META_PROTOCOL);
    lookup(rule, kResets);
    verdict(rule, NF_ACCEPT);
  });
}

/// What the peers of connections that are being closed answer to a reset that they can't place. A new connection from
/// the same port is not meant.
void accept_answers(NftBatchBuilder& batch, const Chain& chain, bool v4) {
  const std::uint32_t address_parts = v4 ? 1 : 4;
  const std::size_t length = address_parts * 4;
  add_rule(batch, chain, [&](NftMessage& rule) {
    match_family(rule, v4);
    match_tcp_flags(rule, TH_SYN, 0);
    std::uint32_t part = kFirstKeyPart;
    load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src), length,
                 part);
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kTcpSource, 2, part += address_parts);
    load_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, v4 ? offsetof(iphdr, daddr) : offsetof(ip6_hdr, ip6_dst), length,
                 ++part);
    load_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, kTcpDestination, 2, part += address_parts);
    lookup(rule, v4 ? kClosingV4 : kClosingV6, kFirstKeyPart);
    verdict(rule, NF_ACCEPT);
  });
}

void drop_what_is_in(NftBatchBuilder& batch, const Chain& chain, ArmedSet set) {
  add_rule(batch, chain, [set](NftMessage& rule) {
    load_meta(rule, NFT_META_PROTOCOL);
    lookup(rule, name_of(set));
    verdict(rule, NF_DROP);
  });
}

}  // namespace

void add_rules(NftBatchBuilder& batch, const Chain& chain, const std::vector<Endpoint>& exempt) {
  accept_criu_mark(batch, chain);
  accept_neighbour_discovery(batch, chain);
  for (const Endpoint& peer : exempt) accept_peer(batch, chain, peer);
  if (chain.hook == NF_INET_LOCAL_OUT) {
    accept_resets(batch, chain);
  } else {
    for (const bool v4 : {true, false}) accept_answers(batch, chain, v4);
  }
  // The first one once more: a packet held up between two rules (a preempted virtual processor is enough) could find `armed`
  // not yet filled and, when it goes on, `rearmed` already emptied.
  for (const ArmedSet set : {ArmedSet::armed, ArmedSet::rearmed, ArmedSet::armed}) drop_what_is_in(batch, chain, set);
}

}  // namespace lockstep::nft
