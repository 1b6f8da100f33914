#include "common/endpoints.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <charconv>

namespace lockstep {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
/// The longest path that fits a unix socket's address with its closing zero.
constexpr std::size_t kMaxIpcPath = sizeof(sockaddr_un::sun_path) - 1;

Failure bad(std::string_view text, std::string why) {
  return fail(ErrorCode::invalid, "endpoint \"" + std::string(text) + "\"", std::move(why));
}

bool is_ipv4_literal(const std::string& host) {
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

bool is_ipv6_literal(const std::string& host) {
  in6_addr address{};
  // A zone ("fe80::1%eth0") belongs to the address for libzmq, but inet_pton does not take it.
  return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &address) == 1;
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '-' || host.front() == '.') return false;
  for (const char c : host) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && c != '-' && c != '.' && c != '_') return false;
  }
  return true;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view digits) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65535) {
    return bad(text, "the port must be a number from 1 to 65535, got \"" + std::string(digits) + "\"");
  }
  return static_cast<std::uint16_t>(port);
}

Result<ZmqEndpoint> parse_tcp(std::string_view text) {
  const std::string_view rest = text.substr(kTcp.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.ends_with(']')) {
    return bad(text, "the port is missing: tcp://HOST:PORT");
  }
  const auto port = parse_port(text, rest.substr(colon + 1));
  if (!port) return Failure(port.error());
  ZmqEndpoint endpoint{Transport::tcp, std::string(rest.substr(0, colon)), *port, {}};
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']')) {
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
    if (!is_ipv6_literal(endpoint.host)) return bad(text, "\"" + endpoint.host + "\" is no IPv6 address");
    return endpoint;
  }
  if (endpoint.host.find(':') != std::string::npos) {
    return bad(text, "an IPv6 address stands in brackets: tcp://[::1]:7600");
  }
  if (endpoint.host != "*" && !is_host_name(endpoint.host)) {
    return bad(text, "the host is missing or no host name: tcp://HOST:PORT");
  }
  return endpoint;
}

Result<ZmqEndpoint> parse_ipc(std::string_view text) {
  const std::string_view path = text.substr(kIpc.size());
  if (path.starts_with('@')) {
    return bad(text, "names in the abstract namespace are whoever's takes them first; use a path");
  }
  if (!path.starts_with('/') || path.ends_with('/')) {
    return bad(text, "needs an absolute path: ipc:///run/lockstep-broker/broker.sock");
  }
  if (path.find('\0') != std::string_view::npos) return bad(text, "the path holds a zero byte");
  if (path.size() > kMaxIpcPath) {
    return bad(text, "the path is longer than a unix socket's may be (" + std::to_string(kMaxIpcPath) + " bytes)");
  }
  return ZmqEndpoint{Transport::ipc, {}, 0, std::string(path)};
}

}  // namespace

std::string ZmqEndpoint::text() const {
  if (transport == Transport::ipc) return std::string(kIpc) + path;
  const std::string name = is_ipv6() ? "[" + host + "]" : host;
  return std::string(kTcp) + name + ":" + std::to_string(port);
}

bool ZmqEndpoint::is_ipv6() const { return transport == Transport::tcp && host.find(':') != std::string::npos; }

Result<ZmqEndpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with(kTcp)) return parse_tcp(text);
  if (text.starts_with(kIpc)) return parse_ipc(text);
  return bad(text, "must be tcp://HOST:PORT or ipc:///PATH");
}

Result<ZmqEndpoint> publish_endpoint_of(const ZmqEndpoint& endpoint) {
  ZmqEndpoint publish = endpoint;
  if (endpoint.transport == Transport::ipc) {
    publish.path += ".pub";
    if (publish.path.size() > kMaxIpcPath) {
      return bad(endpoint.text(), "no room for \".pub\" after the path; name the endpoint for releases");
    }
    return publish;
  }
  if (endpoint.port == 65535) return bad(endpoint.text(), "no port follows 65535; name the endpoint for releases");
  publish.port = static_cast<std::uint16_t>(endpoint.port + 1);
  return publish;
}

Result<std::string> publish_endpoint_of(std::string_view endpoint) {
  const auto parsed = parse_endpoint(endpoint);
  if (!parsed) return Failure(parsed.error());
  const auto publish = publish_endpoint_of(*parsed);
  if (!publish) return Failure(publish.error());
  return publish->text();
}

bool is_loopback(const ZmqEndpoint& endpoint) {
  if (endpoint.transport == Transport::ipc) return true;
  if (endpoint.host == "localhost") return true;
  if (is_ipv4_literal(endpoint.host)) return endpoint.host.starts_with("127.");
  in6_addr address{};
  return inet_pton(AF_INET6, endpoint.host.c_str(), &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address) != 0;
}

bool is_loopback(std::string_view endpoint) {
  const auto parsed = parse_endpoint(endpoint);
  return parsed && is_loopback(*parsed);
}

}  // namespace lockstep
