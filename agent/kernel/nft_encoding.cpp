#include "agent/kernel/nft_encoding.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <net/ethernet.h>

#include <algorithm>
#include <array>

#include "agent/kernel/nft_comment.hpp"
#include "agent/kernel/nft_message.hpp"
#include "agent/kernel/nft_rules.hpp"

namespace lockstep {
namespace {

constexpr std::int32_t kPriority = -400;  ///< in front of connection tracking: nothing else sees the packets

constexpr std::size_t kElementsPerMessage = 32;

/// The nft program's numbers for types. A concatenation's is made of its parts', six bits each.
constexpr std::uint32_t kIpv4Address = 7;
constexpr std::uint32_t kIpv6Address = 8;
constexpr std::uint32_t kEtherType = 10;
constexpr std::uint32_t kPort = 13;
constexpr std::uint32_t tuple_type(std::uint32_t address) {
  return address << 18 | kPort << 12 | address << 6 | kPort;
}

struct Set {
  const char* name;
  std::uint32_t type;
  std::uint32_t key_length;
};
constexpr std::array kSets{
    Set{nft::name_of(ArmedSet::armed), kEtherType, 2},  Set{nft::name_of(ArmedSet::rearmed), kEtherType, 2},
    Set{nft::kResets, kEtherType, 2},                   Set{nft::kClosingV4, tuple_type(kIpv4Address), 16},
    Set{nft::kClosingV6, tuple_type(kIpv6Address), 40},
};

void put_comment(NftMessage& message, int type, std::string_view comment) {
  if (comment.empty()) return;
  const std::string data = nft::comment_data(comment);
  message.bytes(type, std::as_bytes(std::span(data)));
}

void add_table(NftBatchBuilder& batch, std::string_view comment = {}) {
  batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE, [comment](NftMessage& table) {
    table.text(NFTA_TABLE_NAME, nft::kTable);
    put_comment(table, NFTA_TABLE_USERDATA, comment);
  });
}

/// Adding first makes the deletion of a table that is not there succeed.
void add_and_delete_table(NftBatchBuilder& batch) {
  add_table(batch);
  batch.add(NFT_MSG_DELTABLE, 0, [](NftMessage& table) { table.text(NFTA_TABLE_NAME, nft::kTable); });
}

/// `id` names the set within the batch; unused, demanded.
void add_set(NftBatchBuilder& batch, const Set& which, std::uint32_t id) {
  batch.add(NFT_MSG_NEWSET, NLM_F_CREATE, [&](NftMessage& set) {
    set.text(NFTA_SET_TABLE, nft::kTable);
    set.text(NFTA_SET_NAME, which.name);
    set.u32(NFTA_SET_FLAGS, NFT_SET_TIMEOUT);
    set.u32(NFTA_SET_KEY_TYPE, which.type);
    set.u32(NFTA_SET_KEY_LEN, which.key_length);
    set.u32(NFTA_SET_ID, id);
  });
}

void add_chain(NftBatchBuilder& batch, const nft::Chain& which) {
  batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, [&](NftMessage& chain) {
    chain.text(NFTA_CHAIN_TABLE, nft::kTable);
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
void flush_set(NftBatchBuilder& batch, const char* name) {
  batch.add(NFT_MSG_DELSETELEM, 0, [name](NftMessage& set) {
    set.text(NFTA_SET_ELEM_LIST_TABLE, nft::kTable);
    set.text(NFTA_SET_ELEM_LIST_SET, name);
  });
}

/// `put_elements` calls put_element() for each.
template <class PutElements>
void fill_set(NftBatchBuilder& batch, const char* name, PutElements put_elements) {
  batch.add(NFT_MSG_NEWSETELEM, NLM_F_CREATE, [&](NftMessage& set) {
    set.text(NFTA_SET_ELEM_LIST_TABLE, nft::kTable);
    set.text(NFTA_SET_ELEM_LIST_SET, name);
    set.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] { put_elements(set); });
  });
}

void put_element(NftMessage& set, std::span<const std::byte> key, milliseconds timeout, std::string_view comment = {}) {
  set.nest(NFTA_LIST_ELEM, [&] {
    set.nest(NFTA_SET_ELEM_KEY, [&] { set.bytes(NFTA_DATA_VALUE, key); });
    set.u64(NFTA_SET_ELEM_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
    put_comment(set, NFTA_SET_ELEM_USERDATA, comment);
  });
}

void fill_with_families(NftBatchBuilder& batch, const char* name, milliseconds timeout, std::string_view comment) {
  fill_set(batch, name, [&](NftMessage& set) {
    for (const std::uint16_t ether_type : {htons(ETHERTYPE_IP), htons(ETHERTYPE_IPV6)})
      put_element(set, std::as_bytes(std::span(&ether_type, 1)), timeout, comment);
  });
}

/// In several messages: one has room for a page.
void fill_with_keys(NftBatchBuilder& batch, const char* name, milliseconds timeout, std::span<const std::string> keys) {
  while (!keys.empty()) {
    const auto part = keys.first(std::min(keys.size(), kElementsPerMessage));
    fill_set(batch, name, [&](NftMessage& set) {
      for (const std::string& key : part) put_element(set, std::as_bytes(std::span(key)), timeout);
    });
    keys = keys.subspan(part.size());
  }
}

/// Source and destination of what the connection's peer sends, as accept_answers() loads it: ports padded to 4 bytes.
std::string incoming_key(const Socket& socket) {
  std::string key;
  for (const Endpoint* end : {&socket.remote, &socket.local}) {
    const std::uint16_t port = htons(end->port);
    key.append(reinterpret_cast<const char*>(end->address.data()), end->family == IpFamily::v4 ? 4 : 16);
    key.append(reinterpret_cast<const char*>(&port), sizeof port).append(2, '\0');
  }
  return key;
}

}  // namespace

namespace {

void make_table(NftBatchBuilder& batch, const std::vector<Endpoint>& exempt, std::string_view comment) {
  add_and_delete_table(batch);
  add_table(batch, comment);
  std::uint32_t id = 0;
  for (const Set& set : kSets) add_set(batch, set, ++id);
  for (const nft::Chain& chain : nft::kChains) {
    add_chain(batch, chain);
    nft::add_rules(batch, chain, exempt);
  }
}

}  // namespace

Result<NftBatch> encode_prepare(std::uint32_t sequence, const std::vector<Endpoint>& exempt, std::string_view comment) {
  NftBatchBuilder batch(sequence);
  make_table(batch, exempt, comment);
  return batch.finish();
}

Result<NftBatch> encode_take_over(std::uint32_t sequence, const std::vector<Endpoint>& exempt, std::string_view comment,
                                  milliseconds timeout, std::string_view armed_comment) {
  NftBatchBuilder batch(sequence);
  make_table(batch, exempt, comment);
  fill_with_families(batch, nft::name_of(ArmedSet::armed), timeout, armed_comment);
  return batch.finish();
}

Result<NftBatch> encode_fill(std::uint32_t sequence, ArmedSet set, milliseconds timeout, std::string_view comment) {
  // Elements that are still there would keep their old time on kernels before 6.12: out with them, in the same step.
  NftBatchBuilder batch(sequence);
  flush_set(batch, nft::name_of(set));
  fill_with_families(batch, nft::name_of(set), timeout, comment);
  return batch.finish();
}

Result<NftBatch> encode_flush(std::uint32_t sequence, ArmedSet set) {
  NftBatchBuilder batch(sequence);
  flush_set(batch, nft::name_of(set));
  return batch.finish();
}

Result<NftBatch> encode_flush_both(std::uint32_t sequence) {
  NftBatchBuilder batch(sequence);
  flush_set(batch, nft::name_of(ArmedSet::armed));
  flush_set(batch, nft::name_of(ArmedSet::rearmed));
  return batch.finish();
}

Result<NftBatch> encode_pass_resets(std::uint32_t sequence, milliseconds timeout, std::span<const Socket> answered) {
  NftBatchBuilder batch(sequence);
  flush_set(batch, nft::kResets);
  fill_with_families(batch, nft::kResets, timeout, {});
  std::array<std::vector<std::string>, 2> keys;
  for (const Socket& socket : answered) keys[socket.local.family == IpFamily::v4 ? 0 : 1].push_back(incoming_key(socket));
  fill_with_keys(batch, nft::kClosingV4, timeout, keys[0]);
  fill_with_keys(batch, nft::kClosingV6, timeout, keys[1]);
  return batch.finish();
}

Result<NftBatch> encode_stop_resets(std::uint32_t sequence) {
  NftBatchBuilder batch(sequence);
  for (const char* set : {nft::kResets, nft::kClosingV4, nft::kClosingV6}) flush_set(batch, set);
  return batch.finish();
}

Result<NftBatch> encode_remove(std::uint32_t sequence) {
  NftBatchBuilder batch(sequence);
  add_and_delete_table(batch);
  return batch.finish();
}

Result<NftBatch> encode_remove_table(std::uint32_t sequence, std::uint8_t family, const std::string& name) {
  NftBatchBuilder batch(sequence, family);
  batch.add(NFT_MSG_DELTABLE, 0, [&](NftMessage& table) { table.text(NFTA_TABLE_NAME, name.c_str()); });
  return batch.finish();
}

}  // namespace lockstep
