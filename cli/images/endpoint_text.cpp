#include "cli/images/endpoint_text.hpp"

#include <arpa/inet.h>

#include <array>

namespace lockstep::images {

std::string endpoint_text(const Endpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = endpoint.family == IpFamily::v4;
  ::inet_ntop(v4 ? AF_INET : AF_INET6, endpoint.address.data(), text.data(), text.size());
  const std::string address = text.data();
  return (v4 ? address : "[" + address + "]") + ":" + std::to_string(endpoint.port);
}

}  // namespace lockstep::images
