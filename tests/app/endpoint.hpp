/// Addresses and sockets of lockstep-traffic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::traffic {

/// "10.0.0.1:80" or "[fd00::1]:80": the socket's own end, and the other one. Empty when it has none.
[[nodiscard]] std::string local_address(int socket);
[[nodiscard]] std::string peer_address(int socket);

/// Bounds what the kernel keeps of a socket's data in each direction, and thereby what can still arrive from a
/// connection that is cut: about 1000 messages. Before connect() or listen(), which settle the window's scale.
void bound_buffers(int socket);

/// Connects to "10.0.0.1:80" or "[fd00::1]:80" (no names), waits at most 5 s, and returns a non-blocking socket.
[[nodiscard]] Result<Fd> connect_to(const std::string& endpoint);

/// Non-blocking listeners on all addresses: one each for IPv4 and IPv6, or a single one for both (IPv4 clients then
/// have mapped addresses, ::ffff:10.0.0.1, on the server's side).
[[nodiscard]] Result<std::vector<Fd>> listen_on(std::uint16_t port, bool dual_stack);

}  // namespace lockstep::traffic
