#include "broker/core/revalidation.hpp"

#include <algorithm>
#include <unordered_set>

#include "broker/core/connection_counts.hpp"
#include "broker/core/connection_index.hpp"
#include "schemas/endpoint_text.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {
namespace {

bool fin_received(TcpState state) {
  return state == TcpState::close_wait || state == TcpState::last_ack || state == TcpState::closing;
}

bool may_be_absent(TcpState saved) { return saved == TcpState::last_ack || saved == TcpState::closing; }

bool allowed_state(TcpState saved, TcpState found) {
  return saved == found || (saved == TcpState::fin_wait1 && found == TcpState::fin_wait2);
}

std::string word(TcpState state) { return std::string(to_string(state)); }

std::string bytes(std::uint64_t count, const char* where) { return std::to_string(count) + " bytes " + where; }

/// One member's comparison: takes each found socket once.
class MemberCheck {
 public:
  MemberCheck(std::span<const SavedMember> saved, std::size_t member, const FoundMember& found,
              std::vector<ConnectionDifference>& differences)
      : all_(saved),
        saved_(saved[member]),
        member_(member),
        found_(found),
        out_(differences),
        by_tuple_(found.sockets.size()) {
    by_tuple_.reserve(found.sockets.size());
    // Inode 0: no process holds it, so the restore has not made it (TIME-WAIT of the pod's earlier life).
    for (SocketId i = 0; i < found.sockets.size(); ++i) {
      if (found.sockets[i].inode != 0) by_tuple_.add({found.sockets[i].local, found.sockets[i].remote}, i);
    }
    taken_.resize(found.sockets.size(), false);
  }

  void run() {
    if (saved_.labels.size() != saved_.sockets.size()) {
      return differ("", "a label for each of " + std::to_string(saved_.sockets.size()) + " sockets",
                    std::to_string(saved_.labels.size()) + " labels");
    }
    for (std::size_t i = 0; i < saved_.sockets.size(); ++i) check_socket(saved_.sockets[i], saved_.labels[i], i);
    for (std::size_t i = 0; i < found_.sockets.size(); ++i) {
      const Socket& extra = found_.sockets[i];
      if (taken_[i] || extra.inode == 0) continue;
      differ(connection_text(extra), "no socket", word(extra.state));
    }
  }

 private:
  void check_socket(const Socket& saved, const SocketLabel& label, std::size_t position) {
    const Treatment treatment = treatment_of(saved, label, saved_.policy);
    if (treatment == Treatment::absent) return;
    const Socket* found = take(saved);
    if (treatment != Treatment::restore) {
      if (found == nullptr) return;
      return differ(connection_text(saved), "closed (" + std::string(to_string(label.label)) + ")", word(found->state));
    }
    if (label.has_peer()) check_peer(saved, label, position);
    check_address(saved);
    if (found != nullptr) {
      check_state(saved, *found);
    } else if (!may_be_absent(saved.state)) {
      differ(connection_text(saved), word(saved.state), "no socket");
    }
  }

  /// The found socket with the saved one's end points; listeners that share a port (SO_REUSEPORT) are taken one by one.
  [[nodiscard]] const Socket* take(const Socket& saved) {
    for (SocketId i = by_tuple_.first({saved.local, saved.remote}); i != kNoSocket; i = by_tuple_.next(i)) {
      if (taken_[i]) continue;
      taken_[i] = true;
      return &found_.sockets[i];
    }
    return nullptr;
  }

  void check_state(const Socket& saved, const Socket& found) {
    if (!allowed_state(saved.state, found.state)) {
      return differ(connection_text(saved), word(saved.state), word(found.state));
    }
    if (saved.state == TcpState::listen) return;  // a listener's queues are its backlog's
    // FIN-WAIT-2: the FIN and all in front of it have been acknowledged.
    const std::uint32_t unacknowledged = found.state == TcpState::fin_wait2 ? 0 : saved.send_queue;
    if (found.send_queue != unacknowledged) {
      differ(connection_text(saved), bytes(unacknowledged, "not acknowledged"),
             bytes(found.send_queue, "not acknowledged"));
    }
    const bool unread_again = fin_received(saved.state) && saved.receive_queue == 0 && found.receive_queue == 1;
    if (found.receive_queue != saved.receive_queue && !unread_again) {
      differ(connection_text(saved), bytes(saved.receive_queue, "not read"), bytes(found.receive_queue, "not read"));
    }
  }

  /// Said from both sides when both name each other, and of the side that does where they don't.
  void check_peer(const Socket& saved, const SocketLabel& label, std::size_t position) {
    const auto peer_member = static_cast<std::size_t>(label.peer_member);
    const auto peer_position = static_cast<std::size_t>(label.peer_socket);
    if (peer_member >= all_.size() || label.peer_socket < 0 || peer_position >= all_[peer_member].sockets.size() ||
        peer_position >= all_[peer_member].labels.size()) {
      return differ(connection_text(saved), "its other end with a member", "no such member or socket in the records");
    }
    const SavedMember& peer = all_[peer_member];
    const SocketLabel& back = peer.labels[peer_position];
    if (back.peer_member != static_cast<std::int32_t>(member_) ||
        back.peer_socket != static_cast<std::int32_t>(position)) {
      return differ(connection_text(saved), "member " + peer.id.value + " names it as the other end", "it does not");
    }
  }

  void check_address(const Socket& saved) {
    Endpoint address = saved.local;
    address.port = 0;
    const bool unspecified = address.address == decltype(address.address){};
    if (found_.addresses.empty() || unspecified || is_loopback(address) || !checked_.insert(address).second) return;
    const bool there = std::any_of(found_.addresses.begin(), found_.addresses.end(), [&](const InterfaceAddress& own) {
      return own.family == address.family && own.address == address.address;
    });
    if (!there) differ("", "address " + address_text(address.family, address.address) + " in the pod", "not there");
  }

  void differ(std::string connection, std::string expected, std::string found) {
    out_.push_back({std::move(connection), saved_.id, std::move(expected), std::move(found)});
  }

  std::span<const SavedMember> all_;
  const SavedMember& saved_;
  std::size_t member_;
  const FoundMember& found_;
  std::vector<ConnectionDifference>& out_;
  TupleChains by_tuple_;
  std::vector<bool> taken_;
  std::unordered_set<Endpoint, EndpointHash> checked_;  ///< addresses; each is said once
};

}  // namespace

std::string difference_text(const ConnectionDifference& difference) {
  std::string text = "member " + difference.member.value + ": ";
  if (!difference.connection.empty()) text += difference.connection + ": ";
  return text + "expected " + difference.expected + ", found " + difference.found;
}

std::vector<ConnectionDifference> revalidate(std::span<const SavedMember> saved, std::span<const FoundMember> found) {
  std::vector<ConnectionDifference> differences;
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (i < found.size()) {
      MemberCheck(saved, i, found[i], differences).run();
    } else {
      differences.push_back({"", saved[i].id, "a table", "none"});
    }
  }
  return differences;
}

}  // namespace lockstep::broker
