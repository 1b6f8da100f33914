/// The labels while they are being made: by socket number, with "not labelled yet" told from "external".
#pragma once

#include <vector>

#include "broker/core/connection_index.hpp"
#include "schemas/connections.hpp"

namespace lockstep::broker {

class MatchBoard {
 public:
  explicit MatchBoard(const ConnectionIndex& index)
      : index_(index), labels_(index.entries().size()), done_(index.entries().size(), false) {}

  [[nodiscard]] bool done(SocketId id) const { return done_[id]; }
  [[nodiscard]] const SocketLabel& label(SocketId id) const { return labels_[id]; }

  void set(SocketId id, ConnectionLabel label, Doubt doubt = Doubt::none) {
    labels_[id].label = label;
    labels_[id].doubt = doubt;
    done_[id] = true;
  }
  /// The label of both ends, each other's peers.
  void join(SocketId a, SocketId b, ConnectionLabel label, Doubt doubt = Doubt::none) {
    set(a, label, doubt);
    set(b, label, doubt);
    link(a, b);
    link(b, a);
  }
  void link(SocketId from, SocketId to) {
    labels_[from].peer_member = static_cast<std::int32_t>(index_[to].member);
    labels_[from].peer_socket = static_cast<std::int32_t>(index_[to].position);
  }

 private:
  const ConnectionIndex& index_;
  std::vector<SocketLabel> labels_;
  std::vector<bool> done_;
};

/// A guess that `client` and `server` are the ends of one connection.
struct MatchEdge {
  SocketId client = kNoSocket;
  SocketId server = kNoSocket;
  ConnectionLabel label = ConnectionLabel::ambiguous;  ///< what both ends become when they have no other guess
  Doubt doubt = Doubt::none;
};

/// Labels the ends of all edges: as their edge says where it is the only one of both, else as ambiguous. Edges that are
/// told twice count once. The order of `edges` does not matter.
void settle(std::vector<MatchEdge> edges, MatchBoard& board);

}  // namespace lockstep::broker
