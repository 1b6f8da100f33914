#include "schemas/endpoint_text.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace lockstep {
namespace {

constexpr std::size_t kMappedPrefix = 12;  ///< ::ffff:0:0/96

bool all_zero(const std::array<std::uint8_t, 16>& bytes, std::size_t count) {
  return std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count),
                     [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

std::string address_text(IpFamily family, const std::array<std::uint8_t, 16>& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family == IpFamily::v4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return text.data();
}

std::string endpoint_text(const Endpoint& endpoint) {
  const std::string port = endpoint.port == 0 ? "*" : std::to_string(endpoint.port);
  if (all_zero(endpoint.address, endpoint.address.size())) return "*:" + port;
  const std::string address = address_text(endpoint.family, endpoint.address);
  return (endpoint.family == IpFamily::v4 ? address : "[" + address + "]") + ":" + port;
}

std::string connection_text(const Socket& socket) {
  if (socket.state == TcpState::listen) return endpoint_text(socket.local) + " (listen)";
  return endpoint_text(socket.local) + " > " + endpoint_text(socket.remote);
}

std::optional<Endpoint> parse_address(std::string_view text) {
  Endpoint result;
  const std::string terminated(text);
  // inet_pton() would stop at an embedded zero and take what stands before it.
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  if (::inet_pton(AF_INET, terminated.c_str(), result.address.data()) == 1) return result;
  if (::inet_pton(AF_INET6, terminated.c_str(), result.address.data()) != 1) return std::nullopt;
  result.family = IpFamily::v6;
  const bool mapped = all_zero(result.address, 10) && result.address[10] == 0xff && result.address[11] == 0xff;
  if (!mapped) return result;
  std::rotate(result.address.begin(), result.address.begin() + kMappedPrefix, result.address.end());
  std::fill(result.address.begin() + 4, result.address.end(), std::uint8_t{0});
  result.family = IpFamily::v4;
  return result;
}

bool is_loopback(const Endpoint& endpoint) {
  if (endpoint.family == IpFamily::v4) return endpoint.address[0] == 127;
  return all_zero(endpoint.address, 15) && endpoint.address[15] == 1;
}

}  // namespace lockstep
