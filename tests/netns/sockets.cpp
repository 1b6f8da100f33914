#include "tests/netns/sockets.hpp"

#include <arpa/inet.h>
#include <poll.h>

#include <cstring>

namespace lockstep::testing {
namespace {

[[noreturn]] void throw_errno(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

}  // namespace

Address::Address(const std::string& text, std::uint16_t port) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
  } else {
    throw std::runtime_error("not an address: " + text);
  }
}

Endpoint make_endpoint(const std::string& text, std::uint16_t port) {
  Endpoint endpoint;
  const bool v6 = text.find(':') != std::string::npos;
  endpoint.family = v6 ? IpFamily::v6 : IpFamily::v4;
  endpoint.port = port;
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), endpoint.address.data()) != 1)
    throw std::runtime_error("not an address: " + text);
  return endpoint;
}

Fd socket_in(const TestNetns& netns, int family, int type, std::uint32_t mark) {
  auto scope = must(NetnsScope::enter(netns.fd()));
  Fd socket(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throw_errno("socket");
  if (mark != 0 && ::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) throw_errno("SO_MARK");
  return socket;
}

Fd bound_socket(const TestNetns& netns, const Address& address, int type, int backlog) {
  Fd socket = socket_in(netns, address.family(), type);
  if (::bind(socket.get(), address.get(), address.length) < 0) throw_errno("bind");
  if (type == SOCK_STREAM && ::listen(socket.get(), backlog) < 0) throw_errno("listen");
  return socket;
}

std::uint16_t local_port(const Fd& socket) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length) < 0) throw_errno("getsockname");
  return ntohs(name.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&name)->sin_port
                                         : reinterpret_cast<sockaddr_in6*>(&name)->sin6_port);
}

bool wait_for(const Fd& socket, short event, milliseconds limit) {
  pollfd item{socket.get(), event, 0};
  return ::poll(&item, 1, static_cast<int>(limit.count())) == 1;
}

bool connect_within(const Fd& socket, const Address& target, milliseconds limit) {
  if (::connect(socket.get(), target.get(), target.length) == 0) return true;
  if (errno != EINPROGRESS || !wait_for(socket, POLLOUT, limit)) return false;
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

Fd accept_within(const Fd& listener, milliseconds limit) {
  if (!wait_for(listener, POLLIN, limit)) return {};
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

void send_text(const Fd& socket, const std::string& text) {
  (void)::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::string receive_text(const Fd& socket, milliseconds limit) {
  std::string text(4096, '\0');
  if (!wait_for(socket, POLLIN, limit)) return {};
  const ssize_t length = ::recv(socket.get(), text.data(), text.size(), 0);
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return text;
}

UdpFlow::UdpFlow(const TestNetns& from, const TestNetns& to, const std::string& address, std::uint16_t port,
                 std::uint32_t mark)
    : target_(address, port),
      receiver_(bound_socket(to, target_, SOCK_DGRAM)),
      sender_(socket_in(from, target_.family(), SOCK_DGRAM, mark)) {}

void UdpFlow::send() { (void)::sendto(sender_.get(), "x", 1, 0, target_.get(), target_.length); }

bool UdpFlow::arrived(milliseconds limit) {
  bool any = false;
  while (!receive_text(receiver_, any ? milliseconds(0) : limit).empty()) any = true;
  return any;
}

bool UdpFlow::passes(milliseconds limit) {
  send();
  return arrived(limit);
}

}  // namespace lockstep::testing
