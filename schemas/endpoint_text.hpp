/// End points and connections as people read and write them. Pure: no name is resolved.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/socket_table.hpp"

namespace lockstep {

/// "10.0.0.1", "fd00::1".
[[nodiscard]] std::string address_text(IpFamily family, const std::array<std::uint8_t, 16>& address);
/// "10.0.0.1:80", "[fd00::1]:80", "*:80" for the unspecified address of either family; a port of 0 is written "*".
[[nodiscard]] std::string endpoint_text(const Endpoint& endpoint);
/// "10.0.0.1:5000 > 10.0.0.2:80", local end first; a listener: "10.0.0.2:80 (listen)".
[[nodiscard]] std::string connection_text(const Socket& socket);

/// An address without port, brackets or zone; nothing where it is none. A v4-mapped one becomes IPv4, as in the tables.
[[nodiscard]] std::optional<Endpoint> parse_address(std::string_view text);

/// 127.0.0.0/8 and ::1: the same in every pod, and never reaching another.
[[nodiscard]] bool is_loopback(const Endpoint& endpoint);

}  // namespace lockstep
