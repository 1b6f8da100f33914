#include "agent/exemption.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "common/endpoints.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::agent {
namespace {

Endpoint endpoint_from(const sockaddr* address) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    std::memcpy(endpoint.address.data(), &v4->sin_addr, 4);
    endpoint.port = ntohs(v4->sin_port);
  } else {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    endpoint.family = IpFamily::v6;
    std::memcpy(endpoint.address.data(), &v6->sin6_addr, 16);
    endpoint.port = ntohs(v6->sin6_port);
  }
  return endpoint;
}

}  // namespace

Result<std::vector<Endpoint>> resolve_exemptions(const std::vector<std::string>& zmq_endpoints) {
  std::vector<Endpoint> exempt;
  for (const std::string& text : zmq_endpoints) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return Failure(endpoint.error());
    if (endpoint->transport != Transport::tcp) continue;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(endpoint->host.c_str(), std::to_string(endpoint->port).c_str(), &hints, &list);
    if (code != 0) {
      return fail(ErrorCode::unavailable, "resolve " + endpoint->host, std::string(::gai_strerror(code)));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
    for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
      const Endpoint found = endpoint_from(entry->ai_addr);
      if (std::ranges::find(exempt, found) == exempt.end()) exempt.push_back(found);
    }
  }
  return exempt;
}

Result<std::string> with_address(const std::string& zmq_endpoint) {
  auto endpoint = parse_endpoint(zmq_endpoint);
  if (!endpoint) return Failure(endpoint.error());
  if (endpoint->transport != Transport::tcp || parse_address(endpoint->host)) return zmq_endpoint;
  const auto found = resolve_exemptions({zmq_endpoint});
  if (!found) return Failure(found.error());
  const auto v4 = std::ranges::find(*found, IpFamily::v4, &Endpoint::family);
  const Endpoint& chosen = v4 != found->end() ? *v4 : found->front();
  endpoint->host = address_text(chosen.family, chosen.address);
  return endpoint->text();
}

}  // namespace lockstep::agent
