/// Small sockets for tests: made inside a namespace, bounded in every wait.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "schemas/socket_table.hpp"
#include "tests/netns/test_netns.hpp"

namespace lockstep::testing {

/// An address of either family, for the socket calls.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  Address(const std::string& text, std::uint16_t port);
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

[[nodiscard]] Endpoint make_endpoint(const std::string& text, std::uint16_t port);

/// A socket of `netns`, non-blocking. `mark` 0: none. Throws when it can't be made.
[[nodiscard]] Fd socket_in(const TestNetns& netns, int family, int type, std::uint32_t mark = 0);
/// The same, bound; a stream socket listens.
[[nodiscard]] Fd bound_socket(const TestNetns& netns, const Address& address, int type, int backlog = 8);
[[nodiscard]] std::uint16_t local_port(const Fd& socket);

/// True when `event` (POLLIN, POLLOUT) comes within `limit`.
[[nodiscard]] bool wait_for(const Fd& socket, short event, milliseconds limit);
/// True when a connection to `target` is established within `limit`; gives it in `socket`.
[[nodiscard]] bool connect_within(const Fd& socket, const Address& target, milliseconds limit);
/// Empty when nobody came within `limit`.
[[nodiscard]] Fd accept_within(const Fd& listener, milliseconds limit);
/// Sends without waiting; whether it worked shows at the other end.
void send_text(const Fd& socket, const std::string& text);
/// What arrived within `limit`, up to 4 KiB; empty: nothing.
[[nodiscard]] std::string receive_text(const Fd& socket, milliseconds limit);

/// Datagrams one way: from a socket in one namespace to a bound one in the same or another.
class UdpFlow {
 public:
  UdpFlow(const TestNetns& from, const TestNetns& to, const std::string& address, std::uint16_t port,
          std::uint32_t mark = 0);
  void send();
  /// True when one of the datagrams sent since the last call arrived within `limit`; takes them all.
  [[nodiscard]] bool arrived(milliseconds limit);
  [[nodiscard]] bool passes(milliseconds limit);

 private:
  Address target_;
  Fd receiver_;
  Fd sender_;
};

}  // namespace lockstep::testing
