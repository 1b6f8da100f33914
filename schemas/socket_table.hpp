/// A pod's TCP sockets as the kernel's sock_diag tells them: what is matched, saved with the images and compared later.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace lockstep {

enum class IpFamily : std::uint8_t { v4 = 4, v6 = 6 };

/// An address and a port. IPv4 addresses, also those that IPv6 sockets show as v4-mapped, stand in the first four
/// bytes with family v4, so that the two ends of one connection compare equal however their sockets were opened.
struct Endpoint {
  IpFamily family = IpFamily::v4;
  std::array<std::uint8_t, 16> address{};  ///< network byte order; v4: bytes 4 to 15 are zero
  std::uint16_t port = 0;                  ///< host byte order
  auto operator<=>(const Endpoint&) const = default;
  static auto fields(auto& self) { return std::tie(self.family, self.address, self.port); }
};

/// Kernel values of `sk_state` (include/net/tcp_states.h).
enum class TcpState : std::uint8_t {
  established = 1, syn_sent, syn_recv, fin_wait1, fin_wait2, time_wait, close, close_wait, last_ack, listen, closing,
  new_syn_recv,
};

/// One entry of the table. A socket that waits in an accept queue, and one whose process is gone, has inode 0; a
/// listener and a connection can share an inode: tell sockets apart by end points, state and cookie.
struct Socket {
  Endpoint local;
  Endpoint remote;  ///< port 0 for a listener
  TcpState state = TcpState::close;
  std::uint64_t inode = 0;
  std::uint64_t cookie = 0;          ///< unique for the life of the kernel
  std::uint32_t receive_queue = 0;   ///< bytes not yet read; for a listener: connections not yet accepted
  std::uint32_t send_queue = 0;      ///< bytes not yet acknowledged; for a listener: the backlog's limit
  std::uint32_t uid = 0;
  std::uint64_t bytes_acked = 0;     ///< tcp_info: sent by this end and acknowledged
  std::uint64_t bytes_received = 0;  ///< tcp_info: received by this end, acknowledged
  bool v6_socket = false;            ///< opened as AF_INET6 (its addresses may still be v4: mapped)
  std::uint32_t interface_index = 0; ///< of the interface that it is bound to, as link-local ones are; 0: none
  auto operator<=>(const Socket&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.local, self.remote, self.state, self.inode, self.cookie, self.receive_queue, self.send_queue,
                    self.uid, self.bytes_acked, self.bytes_received, self.v6_socket, self.interface_index);
  }
};

using SocketTable = std::vector<Socket>;

/// One address of one interface of a pod.
struct InterfaceAddress {
  std::string interface;
  IpFamily family = IpFamily::v4;
  std::array<std::uint8_t, 16> address{};
  std::uint8_t prefix_length = 0;
  auto operator<=>(const InterfaceAddress&) const = default;
  static auto fields(auto& self) { return std::tie(self.interface, self.family, self.address, self.prefix_length); }
};

}  // namespace lockstep
