#include "agent/kernel/nft_ruleset.hpp"

#include <endian.h>
#include <linux/netfilter/nf_tables.h>

#include "agent/kernel/nft_comment.hpp"
#include "agent/kernel/nft_message.hpp"
#include "agent/kernel/nft_transaction.hpp"
#include "common/netlink_reader.hpp"

namespace lockstep {
namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
constexpr int kAttempts = 4;
constexpr std::uint32_t kBatchSequence = 1;  ///< far from those of the dumps on the same socket, and it does not matter

constexpr std::uint16_t full_type(int type) { return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

std::string text(std::string_view payload) { return std::string(payload.substr(0, payload.find('\0'))); }

std::uint8_t family_of(std::string_view message) {
  const auto head = read_front<nfgenmsg>(message);
  return head ? head->nfgen_family : 0;
}

std::string_view attributes_of(std::string_view message) {
  return message.substr(std::min(message.size(), sizeof(nfgenmsg)));
}

NftElement read_element(std::string_view attributes) {
  NftElement element;
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type == NFTA_SET_ELEM_USERDATA) element.comment = nft::comment_in(attribute->payload);
    if (attribute->type != NFTA_SET_ELEM_EXPIRATION) continue;
    if (const auto left = read_front<std::uint64_t>(attribute->payload))
      element.expires = milliseconds(static_cast<std::int64_t>(be64toh(*left)));
  }
  return element;
}

/// What a kernel without nf_tables answers.
bool says_unsupported(int error) { return error == EOPNOTSUPP || error == EINVAL || error == EPROTONOSUPPORT; }

}  // namespace

NftTable parse_nft_table(std::string_view message) {
  NftTable table{family_of(message), {}, {}};
  std::string_view rest = attributes_of(message);
  while (const auto attribute = next_attribute(rest)) {
    if (attribute->type == NFTA_TABLE_NAME) table.name = text(attribute->payload);
    if (attribute->type == NFTA_TABLE_USERDATA) table.comment = nft::comment_in(attribute->payload);
  }
  return table;
}

NftChain parse_nft_chain(std::string_view message) {
  NftChain chain{family_of(message), {}, {}};
  std::string_view rest = attributes_of(message);
  while (const auto attribute = next_attribute(rest)) {
    if (attribute->type == NFTA_CHAIN_TABLE) chain.table = text(attribute->payload);
    if (attribute->type == NFTA_CHAIN_NAME) chain.name = text(attribute->payload);
  }
  return chain;
}

std::vector<NftElement> parse_nft_elements(std::string_view message) {
  std::vector<NftElement> elements;
  std::string_view rest = attributes_of(message);
  while (const auto attribute = next_attribute(rest)) {
    if (attribute->type != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    std::string_view list = attribute->payload;
    while (const auto element = next_attribute(list)) elements.push_back(read_element(element->payload));
  }
  return elements;
}

Result<NftRuleset> NftRuleset::open(const Fd& netns) {
  auto socket = NetlinkSocket::open(netns, NETLINK_NETFILTER);
  if (!socket) return fail_from(socket.error(), "read nf_tables");
  return NftRuleset(std::move(*socket));
}

/// `fill` puts the request's attributes; `read` takes each reply's payload; it is called anew with nothing to begin again.
template <class Fill, class Read>
Result<void> NftRuleset::dump(int request, int reply, std::uint8_t family, const std::string& operation, Fill fill,
                              Read read) {
  std::vector<char> buffer(kBufferSize);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    socket_.drain();
    const std::uint32_t sequence = socket_.next_sequence();
    NftMessage message(full_type(request), NLM_F_REQUEST | NLM_F_DUMP, family, 0, sequence);
    fill(message);
    if (!message.ok()) return fail(ErrorCode::system, operation, "out of memory");
    if (auto sent = socket_.send(message.view()); !sent) return fail_from(sent.error(), operation);
    read(std::nullopt);
    bool interrupted = false;
    for (bool done = false; !done;) {
      auto datagram = socket_.receive(buffer);
      if (!datagram) return fail_from(datagram.error(), operation);
      while (const auto part = next_message(*datagram)) {
        if (part->header.nlmsg_seq != sequence) continue;
        if ((part->header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
        if (part->header.nlmsg_type == full_type(reply)) read(part->payload);
        if (part->header.nlmsg_type != NLMSG_ERROR && part->header.nlmsg_type != NLMSG_DONE) continue;
        // Both begin with the outcome: a negative errno.
        const int outcome = -read_front<std::int32_t>(part->payload).value_or(0);
        if (outcome > 0) return Failure(Error{ErrorCode::system, outcome, operation, {}});
        done = true;
      }
    }
    if (!interrupted) return {};
  }
  return fail(ErrorCode::unavailable, operation, "the rule set changed under every attempt");
}

Result<std::vector<NftTable>> NftRuleset::tables() {
  std::vector<NftTable> tables;
  auto done = dump(NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, NFPROTO_UNSPEC, "list nf_tables tables", [](NftMessage&) {},
                   [&](std::optional<std::string_view> reply) {
                     if (!reply) return tables.clear();
                     tables.push_back(parse_nft_table(*reply));
                   });
  if (!done && !says_unsupported(done.error().sys_errno)) return Failure(done.error());
  return tables;
}

Result<std::vector<NftChain>> NftRuleset::chains() {
  std::vector<NftChain> chains;
  auto done = dump(NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, NFPROTO_UNSPEC, "list nf_tables chains", [](NftMessage&) {},
                   [&](std::optional<std::string_view> reply) {
                     if (!reply) return chains.clear();
                     chains.push_back(parse_nft_chain(*reply));
                   });
  if (!done && !says_unsupported(done.error().sys_errno)) return Failure(done.error());
  return chains;
}

Result<std::vector<NftElement>> NftRuleset::elements(const NftTable& table, const std::string& set) {
  std::vector<NftElement> elements;
  auto done = dump(
      NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM, table.family, "list set " + set + " of nf_tables table " + table.name,
      [&](NftMessage& request) {
        request.text(NFTA_SET_ELEM_LIST_TABLE, table.name.c_str());
        request.text(NFTA_SET_ELEM_LIST_SET, set.c_str());
      },
      [&](std::optional<std::string_view> reply) {
        if (!reply) return elements.clear();
        for (NftElement& element : parse_nft_elements(*reply)) elements.push_back(std::move(element));
      });
  if (done) return elements;
  Error error = done.error();
  if (error.sys_errno == ENOENT) error.code = ErrorCode::not_found;
  return Failure(std::move(error));
}

Result<void> NftRuleset::remove(const NftTable& table) {
  auto batch = encode_remove_table(kBatchSequence, table.family, table.name);
  if (!batch) return Failure(batch.error());
  auto done = run_transaction(socket_, *batch, "remove nf_tables table " + table.name);
  if (!done && done.error().sys_errno == ENOENT) return {};
  return done;
}

}  // namespace lockstep
