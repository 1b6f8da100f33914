#include "broker/core/connection_matching.hpp"

#include <algorithm>
#include <optional>

#include "broker/core/match_board.hpp"
#include "broker/core/mirror_matching.hpp"
#include "broker/core/service_matching.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::broker {
namespace {

/// An address that more pods have is everybody's (a bridge's, a link-local one): who listens there says nothing.
constexpr std::size_t kMaxOwners = 8;

/// What the socket alone tells; nothing for one that is connected and held by a process.
std::optional<ConnectionLabel> label_of_state(const Socket& socket) {
  switch (socket.state) {
    case TcpState::listen: return ConnectionLabel::listening;
    case TcpState::syn_sent:
    case TcpState::syn_recv:
    case TcpState::new_syn_recv: return ConnectionLabel::half_open;
    case TcpState::time_wait:
    case TcpState::close: return ConnectionLabel::finished;
    case TcpState::established:
      if (socket.inode == 0) return ConnectionLabel::half_open;
      return std::nullopt;
    case TcpState::fin_wait1:
    case TcpState::fin_wait2:
    case TcpState::close_wait:
    case TcpState::last_ack:
    case TcpState::closing:
      if (socket.inode == 0) return ConnectionLabel::finished;
      return std::nullopt;
  }
  return ConnectionLabel::finished;
}

bool peer_has_finished(TcpState state) {
  return state == TcpState::close_wait || state == TcpState::last_ack || state == TcpState::closing;
}

/// For what has found no other end.
void label_alone(const ConnectionIndex& index, SocketId id, MatchBoard& board) {
  const ConnectionIndex::Entry& entry = index[id];
  const Endpoint& remote = entry.socket->remote;
  const std::span<const std::uint32_t> own(&entry.pod, 1);
  const auto owners = is_loopback(remote) ? own : index.owners(remote);
  if (owners.empty()) return board.set(id, ConnectionLabel::external);
  if (peer_has_finished(entry.socket->state)) return board.set(id, ConnectionLabel::orphaned);
  const auto listens = [&](std::uint32_t pod) { return index.listens(pod, remote); };
  if (owners.size() <= kMaxOwners && std::any_of(owners.begin(), owners.end(), listens)) {
    return board.set(id, ConnectionLabel::ambiguous, Doubt::peer_unseen);
  }
  board.set(id, ConnectionLabel::external);
}

/// The end that has accepted is the server; where both or neither listen, the order of the input decides.
ConnectionPair make_pair(const ConnectionIndex& index, SocketId first, SocketId second, ConnectionLabel label) {
  const auto accepted = [&](SocketId id) { return index.listens(index[id].pod, index[id].socket->local); };
  if (accepted(first) && !accepted(second)) std::swap(first, second);
  const auto ref = [&](SocketId id) { return SocketRef{index[id].member, index[id].position}; };
  return {ref(first), ref(second), label};
}

Matching collect(std::span<const MemberSockets> members, const ConnectionIndex& index, const MatchBoard& board) {
  Matching result;
  std::vector<SocketId> first_of;  // number of each member's first socket
  SocketId count = 0;
  for (const MemberSockets& member : members) {
    first_of.push_back(count);
    count += static_cast<SocketId>(member.sockets.size());
    result.labels.emplace_back().reserve(member.sockets.size());
  }
  for (SocketId id = 0; id < count; ++id) {
    const SocketLabel& label = board.label(id);
    result.labels[index[id].member].push_back(label);
    if (label.label != ConnectionLabel::internal && label.label != ConnectionLabel::internal_service) continue;
    const SocketId first_of_peer = first_of[static_cast<std::size_t>(label.peer_member)];
    const SocketId peer = first_of_peer + static_cast<SocketId>(label.peer_socket);
    if (id <= peer) result.pairs.push_back(make_pair(index, id, peer, label.label));
  }
  return result;
}

}  // namespace

Matching match_connections(std::span<const MemberSockets> members, std::span<const NatEntry> nat) {
  const ConnectionIndex index(members);
  MatchBoard board(index);
  const auto sockets = static_cast<SocketId>(index.entries().size());
  for (SocketId id = 0; id < sockets; ++id) {
    if (const auto label = label_of_state(*index[id].socket)) board.set(id, *label);
  }
  match_mirrored(index, board);
  match_services(index, nat, board);
  for (SocketId id = 0; id < sockets; ++id) {
    if (!board.done(id)) label_alone(index, id, board);
  }
  return collect(members, index, board);
}

}  // namespace lockstep::broker
