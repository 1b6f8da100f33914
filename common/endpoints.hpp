/// ZeroMQ endpoints as users write them: tcp://HOST:PORT and ipc:///PATH, checked before libzmq sees them, so that a
/// mistake is told in words. Pure: nothing is resolved and nothing is opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace lockstep {

enum class Transport : std::uint8_t { tcp, ipc };

/// One endpoint in its parts.
struct ZmqEndpoint {
  Transport transport = Transport::tcp;
  std::string host;        ///< tcp: a name, an IPv4 address, an IPv6 address without its brackets, or "*" (all)
  std::uint16_t port = 0;  ///< tcp: 1 to 65535
  std::string path;        ///< ipc: an absolute path

  /// As libzmq takes it; parse_endpoint(text()) gives the same endpoint back.
  [[nodiscard]] std::string text() const;
  /// The host is an IPv6 address: the socket needs ZMQ_IPV6.
  [[nodiscard]] bool is_ipv6() const;
  auto operator<=>(const ZmqEndpoint&) const = default;
};

/// Takes a text apart. invalid, with what is wrong and an example, where it is not an endpoint.
[[nodiscard]] Result<ZmqEndpoint> parse_endpoint(std::string_view text);

/// Where a broker that is reached at `endpoint` publishes unless it is told otherwise: the next tcp port, or the ipc
/// path with ".pub" at its end. invalid when there is no next port, or when the path becomes too long.
[[nodiscard]] Result<ZmqEndpoint> publish_endpoint_of(const ZmqEndpoint& endpoint);
/// The same from text to text.
[[nodiscard]] Result<std::string> publish_endpoint_of(std::string_view endpoint);

/// Nobody outside this machine can reach it: ipc, or tcp on 127.0.0.0/8, ::1, "localhost". Only literal addresses
/// count; any other name might resolve to anything, and so is false.
[[nodiscard]] bool is_loopback(const ZmqEndpoint& endpoint);
/// The same for a text; false where it is no endpoint.
[[nodiscard]] bool is_loopback(std::string_view endpoint);

/// The endpoint used where none has been named. Not in /run/lockstep, which the host shares with pods' sidecars: who
/// reaches this socket as root may do everything.
inline constexpr std::string_view kDefaultBroker = "ipc:///run/lockstep-broker/broker.sock";

}  // namespace lockstep
