#include "broker/core/mirror_matching.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "broker/core/connection_counts.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::broker {
namespace {

/// So many pairs of one tuple in different pods are looked at; beyond that the tuple says nothing any more.
constexpr std::size_t kMaxComparisons = 64;

/// The sockets of one connection's tuple, in whatever pod: those at its lesser end, and those at the other.
struct Group {
  std::vector<SocketId> low;
  std::vector<SocketId> high;
  void clear() {
    low.clear();
    high.clear();
  }
};

class MirrorMatcher {
 public:
  MirrorMatcher(const ConnectionIndex& index, MatchBoard& board) : index_(index), board_(board) {}

  void settle_group(Group& group) {
    settle_inside_pods(group);
    if (group.low.empty() || group.high.empty()) return;
    const Socket& any = *index_[group.low.front()].socket;
    if (is_loopback(any.local) || is_loopback(any.remote)) return;
    keep_owners(group.low);
    keep_owners(group.high);
    settle_across_pods(group);
  }

 private:
  /// A tuple exists once in a namespace, so two sockets of one pod that mirror each other are each other's ends. One
  /// that two members hold is ambiguous: it would come back twice.
  void settle_inside_pods(Group& group) {
    const auto by_pod = [&](SocketId a, SocketId b) { return index_[a].pod < index_[b].pod; };
    std::sort(group.low.begin(), group.low.end(), by_pod);
    std::sort(group.high.begin(), group.high.end(), by_pod);
    Group rest;
    auto high = group.high.begin();
    for (auto low = group.low.begin(); low != group.low.end();) {
      const std::uint32_t pod = index_[*low].pod;
      const auto elsewhere = [&](SocketId id) { return index_[id].pod != pod; };
      const auto low_end = std::find_if(low, group.low.end(), elsewhere);
      while (high != group.high.end() && index_[*high].pod < pod) rest.high.push_back(*high++);
      const auto high_end = std::find_if(high, group.high.end(), elsewhere);
      if (high == high_end) {
        rest.low.insert(rest.low.end(), low, low_end);
      } else if (low_end - low == 1 && high_end - high == 1) {
        pair(*low, *high);
      } else {
        std::for_each(low, low_end, [&](SocketId id) { doubt(id); });
        std::for_each(high, high_end, [&](SocketId id) { doubt(id); });
      }
      low = low_end;
      high = high_end;
    }
    rest.high.insert(rest.high.end(), high, group.high.end());
    group = std::move(rest);
  }

  /// Drops the sockets in pods that do not own their local address; those whose addresses nobody has told remain only
  /// where there is no proven owner.
  void keep_owners(std::vector<SocketId>& side) const {
    const auto owns = [&](SocketId id) { return index_.owns(index_[id].pod, index_[id].socket->local); };
    const bool proven = std::any_of(side.begin(), side.end(), owns);
    std::erase_if(side, [&](SocketId id) {
      return proven ? !owns(id) : !index_.may_own(index_[id].pod, index_[id].socket->local);
    });
  }

  void settle_across_pods(const Group& group) {
    if (group.low.empty() || group.high.empty()) return;
    if (group.low.size() == 1 && group.high.size() == 1) return pair(group.low.front(), group.high.front());
    for (const SocketId id : group.low) doubt(id);
    for (const SocketId id : group.high) doubt(id);
    if (group.low.size() * group.high.size() > kMaxComparisons) return;
    // The same tuple in several pods: byte counts may still tell which ends belong together.
    for (const SocketId low : group.low) {
      const SocketId high = only_fit(low, group.high);
      if (high == kNoSocket || only_fit(high, group.low) != low) continue;
      if (counts_say_anything(*index_[low].socket, *index_[high].socket)) pair(low, high);
    }
  }

  [[nodiscard]] SocketId only_fit(SocketId id, const std::vector<SocketId>& others) const {
    SocketId found = kNoSocket;
    for (const SocketId other : others) {
      if (!counts_fit(*index_[id].socket, *index_[other].socket)) continue;
      if (found != kNoSocket) return kNoSocket;
      found = other;
    }
    return found;
  }

  [[nodiscard]] bool half_open(SocketId id) const {
    return board_.done(id) && board_.label(id).label == ConnectionLabel::half_open;
  }

  void pair(SocketId a, SocketId b) {
    const bool waiting = half_open(a) || half_open(b);
    board_.join(a, b, waiting ? ConnectionLabel::half_open : ConnectionLabel::internal);
  }

  void doubt(SocketId id) {
    if (!half_open(id)) board_.set(id, ConnectionLabel::ambiguous, Doubt::several_candidates);
  }

  const ConnectionIndex& index_;
  MatchBoard& board_;
};

/// The same key for both ends of a connection.
Tuple canonical(const Socket& socket) {
  return socket.local <= socket.remote ? Tuple{socket.local, socket.remote} : Tuple{socket.remote, socket.local};
}

}  // namespace

void match_mirrored(const ConnectionIndex& index, MatchBoard& board) {
  const auto& entries = index.entries();
  TupleChains chains(entries.size());
  chains.reserve(entries.size() / 2);
  for (SocketId id = 0; id < entries.size(); ++id) {
    if (!board.done(id) || board.label(id).label == ConnectionLabel::half_open) {
      chains.add(canonical(*entries[id].socket), id);
    }
  }
  MirrorMatcher matcher(index, board);
  Group group;
  for (const auto& [tuple, first] : chains.keys()) {
    if (tuple.local == tuple.remote) {
      // A socket that has connected with itself is both ends.
      for (SocketId id = first; id != kNoSocket; id = chains.next(id)) {
        if (!board.done(id)) board.join(id, id, ConnectionLabel::internal);
      }
      continue;
    }
    if (chains.next(first) == kNoSocket) continue;
    group.clear();
    for (SocketId id = first; id != kNoSocket; id = chains.next(id)) {
      (entries[id].socket->local == tuple.local ? group.low : group.high).push_back(id);
    }
    matcher.settle_group(group);
  }
}

}  // namespace lockstep::broker
