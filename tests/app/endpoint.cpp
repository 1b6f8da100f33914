#include "tests/app/endpoint.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>

namespace lockstep::traffic {
namespace {

using Call = int (*)(int, sockaddr*, socklen_t*);

std::string address_of(int socket, Call call) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (call(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return std::string("[").append(text.data()).append("]:") + std::to_string(ntohs(v6.sin6_port));
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<Address> parse_endpoint(const std::string& text) {
  const Failure wrong = fail(ErrorCode::invalid, "address '" + text + "'", "expected 10.0.0.1:80 or [fd00::1]:80");
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong;
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end || port == 0) return wrong;

  Address address;
  const std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.size = sizeof v6;
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) != 1) return wrong;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size = sizeof v4;
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) return wrong;
  }
  return address;
}

Result<Fd> listen_on_family(int family, std::uint16_t port, bool dual_stack) {
  const std::string operation = "listen on port " + std::to_string(port);
  Fd socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(operation);
  const int on = 1;
  const int v6_only = dual_stack ? 0 : 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bound_buffers(socket.get());  // its connections inherit that
  Address any;
  if (family == AF_INET6) {
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(any.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    any.size = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(any.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    any.size = sizeof v4;
  }
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&any.storage), any.size) != 0) return fail_errno(operation);
  if (::listen(socket.get(), SOMAXCONN) != 0) return fail_errno(operation);
  return socket;
}

}  // namespace

std::string local_address(int socket) { return address_of(socket, ::getsockname); }
std::string peer_address(int socket) { return address_of(socket, ::getpeername); }

void bound_buffers(int socket) {
  const int bytes = 256 * 1024;
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

Result<Fd> connect_to(const std::string& endpoint) {
  auto address = parse_endpoint(endpoint);
  if (!address) return tl::unexpected(address.error());
  Fd socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("connect to " + endpoint);
  bound_buffers(socket.get());
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  const timeval forever{};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size) != 0) {
    return fail_errno("connect to " + endpoint);
  }
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("fcntl O_NONBLOCK");
  return socket;
}

Result<std::vector<Fd>> listen_on(std::uint16_t port, bool dual_stack) {
  std::vector<Fd> listeners;
  auto v6 = listen_on_family(AF_INET6, port, dual_stack);
  if (!v6) return tl::unexpected(v6.error());
  listeners.push_back(std::move(*v6));
  if (!dual_stack) {
    auto v4 = listen_on_family(AF_INET, port, false);
    if (!v4) return tl::unexpected(v4.error());
    listeners.push_back(std::move(*v4));
  }
  return listeners;
}

}  // namespace lockstep::traffic
