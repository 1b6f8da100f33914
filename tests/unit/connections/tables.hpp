/// Short words for the tables of the tests.
#pragma once

#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include "broker/core/connection_matching.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::broker::testing {

inline Endpoint at(const std::string& address, std::uint16_t port) {
  auto endpoint = parse_address(address);
  if (!endpoint) throw std::invalid_argument("no address: " + address);
  endpoint->port = port;
  return *endpoint;
}

/// A connected socket that a process holds.
inline Socket socket(const Endpoint& local, const Endpoint& remote, TcpState state = TcpState::established) {
  Socket result;
  result.local = local;
  result.remote = remote;
  result.state = state;
  result.inode = 1;
  return result;
}

inline Socket listener(const Endpoint& local) {
  Endpoint any{local.family, {}, 0};
  return socket(local, any, TcpState::listen);
}

/// The socket after it has sent (all of it acknowledged) and received so much.
inline Socket counted(Socket socket, std::uint64_t acked, std::uint64_t received, std::uint32_t send_queue = 0) {
  socket.bytes_acked = acked;
  socket.bytes_received = received;
  socket.send_queue = send_queue;
  return socket;
}

/// Members with tables that live as long as this.
class Members {
 public:
  /// A member in pod number `pod`. Without addresses the pod's are not known.
  std::size_t add(std::uint64_t pod, const std::vector<std::string>& addresses, SocketTable sockets) {
    auto& own = addresses_.emplace_back();
    for (const std::string& text : addresses) {
      const Endpoint endpoint = at(text, 0);
      own.push_back({"eth0", endpoint.family, endpoint.address, 24});
    }
    tables_.push_back(std::move(sockets));
    views_.push_back({PodId{"boot", pod}, tables_.back(), own});
    return views_.size() - 1;
  }
  [[nodiscard]] const std::vector<MemberSockets>& views() const { return views_; }
  [[nodiscard]] Matching match(const std::vector<NatEntry>& nat = {}) const { return match_connections(views_, nat); }

 private:
  std::deque<std::vector<InterfaceAddress>> addresses_;
  std::deque<SocketTable> tables_;
  std::vector<MemberSockets> views_;
};

}  // namespace lockstep::broker::testing
