#include "broker/core/service_matching.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <vector>

#include "broker/core/connection_counts.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::broker {
namespace {

/// A client's end point belongs to one socket, or to a few that go to different places. One with more is no client's,
/// and none of them is looked at: the first few would depend on the order of the input.
constexpr std::size_t kMaxCandidates = 8;

/// The sockets of one key; nothing where they are too many.
template <class Chains, class Key>
std::vector<SocketId> few_of(const Chains& chains, const Key& key) {
  std::vector<SocketId> found;
  for (SocketId id = chains.first(key); id != kNoSocket; id = chains.next(id)) {
    if (found.size() == kMaxCandidates) return {};
    found.push_back(id);
  }
  return found;
}

/// A connection is translated at most so often: in the client's pod, on its node, on the server's, in the server's pod.
constexpr int kMaxTranslations = 4;

/// The translating ones, each once, and what they come to where one takes up what another has left: the client's end is
/// in the first then, the server's in the last.
std::vector<NatEntry> with_chains(std::span<const NatEntry> nat) {
  std::vector<NatEntry> entries;
  std::ranges::copy_if(nat, std::back_inserter(entries), &NatEntry::translates);
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  const auto begins = [](const NatEntry& entry) { return std::tie(entry.original_source, entry.original_destination); };
  const std::vector<NatEntry> single = entries;
  for (NatEntry chain : single) {
    for (int length = 1; length < kMaxTranslations; ++length) {
      const auto left = std::tie(chain.reply_destination, chain.reply_source);
      const auto next = std::lower_bound(single.begin(), single.end(), left,
                                         [&](const NatEntry& entry, const auto& key) { return begins(entry) < key; });
      if (next == single.end() || begins(*next) != left) break;
      if (std::next(next) != single.end() && begins(*std::next(next)) == left) break;  // where addresses repeat
      chain.reply_source = next->reply_source;
      chain.reply_destination = next->reply_destination;
      entries.push_back(chain);
    }
  }
  std::erase_if(entries, [](const NatEntry& entry) { return !entry.translates(); });  // there and back
  return entries;
}

/// Conntrack tells both ends' tuples. Each is looked for among the sockets whose pods own the address.
class ConntrackMatcher {
 public:
  ConntrackMatcher(const ConnectionIndex& index, MatchBoard& board)
      : index_(index), board_(board), by_tuple_(index.entries().size()) {
    for (SocketId id = 0; id < index.entries().size(); ++id) {
      const Socket& socket = *index[id].socket;
      if (!board.done(id)) by_tuple_.add({socket.local, socket.remote}, id);
    }
  }

  void match(std::span<const NatEntry> nat) {
    std::vector<MatchEdge> edges;
    for (const NatEntry& entry : nat) add_edges(entry, edges);
    settle(std::move(edges), board_);
    // What conntrack names as one end, and whose other end no member has, is connected with somebody else.
    for (const NatEntry& entry : nat) {
      for (const SocketId id : clients(entry)) close_case(id);
      for (const SocketId id : servers(entry)) close_case(id);
    }
  }

 private:
  [[nodiscard]] std::vector<SocketId> clients(const NatEntry& entry) const {
    return at({entry.original_source, entry.original_destination});
  }
  [[nodiscard]] std::vector<SocketId> servers(const NatEntry& entry) const {
    return at({entry.reply_source, entry.reply_destination});
  }

  [[nodiscard]] std::vector<SocketId> at(const Tuple& tuple) const {
    std::vector<SocketId> found = few_of(by_tuple_, tuple);
    std::erase_if(found, [&](SocketId id) { return !index_.may_own(index_[id].pod, tuple.local); });
    return found;
  }

  void add_edges(const NatEntry& entry, std::vector<MatchEdge>& edges) const {
    const bool source_too = entry.original_source != entry.reply_destination;
    for (const SocketId client : clients(entry)) {
      for (const SocketId server : servers(entry)) {
        if (source_too) {
          edges.push_back({client, server, ConnectionLabel::ambiguous, Doubt::source_translated});
        } else {
          edges.push_back({client, server, ConnectionLabel::internal_service, Doubt::none});
        }
      }
    }
  }

  void close_case(SocketId id) {
    if (!board_.done(id)) board_.set(id, ConnectionLabel::external);
  }

  const ConnectionIndex& index_;
  MatchBoard& board_;
  TupleChains by_tuple_;
};

/// Without conntrack: a server's remote end point is some client's local one, and byte counts have to prove the rest.
class CountMatcher {
 public:
  CountMatcher(const ConnectionIndex& index, MatchBoard& board)
      : index_(index), board_(board), clients_(index.entries().size()) {
    for (SocketId id = 0; id < index.entries().size(); ++id) {
      // Who listens on a socket's port has accepted it: this keeps servers, and with them source NAT, out of the role.
      if (!board.done(id) && !index.listens(index[id].pod, index[id].socket->local)) {
        clients_.add(index[id].socket->local, id);
      }
    }
  }

  void match() {
    std::vector<MatchEdge> fitting;
    std::vector<MatchEdge> differing;
    for (SocketId server = 0; server < index_.entries().size(); ++server) {
      if (board_.done(server)) continue;
      for (const SocketId client : few_of(clients_, index_[server].socket->remote)) {
        if (!possible(client, server)) continue;
        const MatchEdge edge = judge(client, server);
        (edge.doubt == Doubt::counts_differ ? differing : fitting).push_back(edge);
      }
    }
    settle(std::move(fitting), board_);
    const auto settled = [&](const MatchEdge& edge) { return board_.done(edge.client) || board_.done(edge.server); };
    std::erase_if(differing, settled);
    settle(std::move(differing), board_);
  }

 private:
  [[nodiscard]] bool possible(SocketId client, SocketId server) const {
    const ConnectionIndex::Entry& c = index_[client];
    const ConnectionIndex::Entry& s = index_[server];
    if (client == server || c.socket->remote == s.socket->local) return false;  // would mirror
    const bool local_only = is_loopback(c.socket->local) || is_loopback(s.socket->local);
    if (local_only && c.pod != s.pod) return false;
    return index_.may_own(c.pod, c.socket->local) && index_.may_own(s.pod, s.socket->local);
  }

  [[nodiscard]] MatchEdge judge(SocketId client, SocketId server) const {
    const Socket& c = *index_[client].socket;
    const Socket& s = *index_[server].socket;
    if (!counts_fit_service(c, s)) return {client, server, ConnectionLabel::ambiguous, Doubt::counts_differ};
    const bool direction = counts_show_client(c, s) || index_.listens(index_[server].pod, s.local);
    if (direction && counts_say_anything(c, s)) return {client, server, ConnectionLabel::internal_service, Doubt::none};
    return {client, server, ConnectionLabel::ambiguous, Doubt::unconfirmed};
  }

  const ConnectionIndex& index_;
  MatchBoard& board_;
  EndpointChains clients_;
};

}  // namespace

void match_services(const ConnectionIndex& index, std::span<const NatEntry> nat, MatchBoard& board) {
  if (!nat.empty()) ConntrackMatcher(index, board).match(with_chains(nat));
  CountMatcher(index, board).match();
}

}  // namespace lockstep::broker
