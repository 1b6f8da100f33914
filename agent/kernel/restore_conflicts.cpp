#include "agent/kernel/restore_conflicts.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace lockstep {
namespace {

bool is_any(const Endpoint& end) {
  return std::ranges::all_of(end.address, [](std::uint8_t byte) { return byte == 0; });
}

/// Whether two sockets of the same port share an address: `::` takes IPv4's as well. (It need not, with IPV6_V6ONLY,
/// which the table does not tell: then an IPv4 socket may be there beside it.)
bool addresses_meet(const Socket& listener, const Socket& other) {
  const auto covers = [](const Socket& wide, const Socket& narrow) {
    return is_any(wide.local) && (wide.local.family == narrow.local.family || wide.local.family == IpFamily::v6);
  };
  return listener.local == other.local || covers(listener, other) || covers(other, listener);
}

/// Sockets whose process has gone; all they have left to do is to wait, or to deliver what it had written.
bool is_orphan(const Socket& socket) {
  switch (socket.state) {
    case TcpState::time_wait:
    case TcpState::fin_wait1:
    case TcpState::fin_wait2:
    case TcpState::closing:
    case TcpState::last_ack: return socket.inode == 0;
    default: return false;
  }
}

/// Orphans that have nothing left to deliver.
bool only_waits(const Socket& socket) {
  return is_orphan(socket) && (socket.state == TcpState::time_wait || socket.state == TcpState::fin_wait2);
}

/// What is there, found by end points and by local port.
class Present {
 public:
  explicit Present(const SocketTable& table) {
    for (const Socket& socket : table) {
      by_port_[socket.local.port].push_back(&socket);
      if (socket.state != TcpState::listen) by_ends_[{socket.local, socket.remote}].push_back(&socket);
    }
  }
  /// The sockets that may be in the way of `wanted`.
  [[nodiscard]] const std::vector<const Socket*>& near(const Socket& wanted) const {
    static const std::vector<const Socket*> kNone;
    if (wanted.state == TcpState::listen) {
      const auto found = by_port_.find(wanted.local.port);
      return found == by_port_.end() ? kNone : found->second;
    }
    const auto found = by_ends_.find({wanted.local, wanted.remote});
    return found == by_ends_.end() ? kNone : found->second;
  }

 private:
  std::unordered_map<std::uint16_t, std::vector<const Socket*>> by_port_;
  std::map<std::pair<Endpoint, Endpoint>, std::vector<const Socket*>> by_ends_;
};

/// Of two that `Present` has brought together.
bool in_the_way(const Socket& wanted, const Socket& other) {
  if (wanted.state == TcpState::listen) return addresses_meet(wanted, other);
  return wanted.interface_index == 0 || other.interface_index == 0 || wanted.interface_index == other.interface_index;
}

bool may_be_cleared(const Socket& wanted, const Socket& other) {
  return wanted.state == TcpState::listen ? only_waits(other) : is_orphan(other);
}

/// A loopback interface is at home on every address of its networks, others on their own one alone.
bool has_address(const std::vector<InterfaceAddress>& have, const Endpoint& end) {
  return std::ranges::any_of(have, [&](const InterfaceAddress& own) {
    if (own.family != end.family) return false;
    if (own.address == end.address) return true;
    if (own.interface != "lo" || own.family != IpFamily::v4) return false;
    for (unsigned bit = 0; bit < own.prefix_length && bit < 32; ++bit)
      if (((own.address[bit / 8] ^ end.address[bit / 8]) & (0x80U >> bit % 8)) != 0) return false;
    return true;
  });
}

std::vector<Endpoint> missing_addresses(const SocketTable& wanted, const std::vector<InterfaceAddress>& have) {
  std::set<Endpoint> needed;
  for (const Socket& socket : wanted) {
    Endpoint address = socket.local;
    address.port = 0;
    if (!is_any(address)) needed.insert(address);
  }
  std::vector<Endpoint> missing;
  for (const Endpoint& address : needed)
    if (!has_address(have, address)) missing.push_back(address);
  return missing;
}

/// A finished connection has neither port nor socket to come back to.
bool comes_back(const Socket& socket) {
  return socket.state != TcpState::time_wait && (socket.state != TcpState::close || socket.local.port != 0);
}

}  // namespace

RestoreConflicts restore_conflicts(const SocketTable& wanted, const SocketTable& present,
                                   const std::vector<InterfaceAddress>& have) {
  const Present there(present);
  RestoreConflicts result;
  std::unordered_set<const Socket*> leftovers;
  for (const Socket& socket : wanted) {
    if (!comes_back(socket)) continue;
    bool taken = false;
    for (const Socket* other : there.near(socket)) {
      if (!in_the_way(socket, *other)) continue;
      if (may_be_cleared(socket, *other)) {
        if (leftovers.insert(other).second) result.leftovers.push_back(*other);
      } else if (!taken) {
        taken = true;
        result.taken.push_back({socket, *other});
      }
    }
  }
  result.missing = missing_addresses(wanted, have);
  return result;
}

}  // namespace lockstep
