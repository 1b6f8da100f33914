#include "tests/bench/tcp.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace lockstep::bench {
namespace {

constexpr seconds kConnectLimit{10};
constexpr int kBacklog = 4'096;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd bound_socket() {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(0);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("bind to a port of 127.0.0.1");
  }
  return socket;
}

}  // namespace

std::uint16_t port_of(const Fd& listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) throw_errno("getsockname");
  return ntohs(address.sin_port);
}

std::uint16_t free_port() { return port_of(bound_socket()); }

Fd listen_on_loopback() {
  Fd listener = bound_socket();
  if (::listen(listener.get(), kBacklog) != 0) throw_errno("listen");
  return listener;
}

void disable_nagle(const Fd& socket) {
  const int on = 1;
  if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) throw_errno("set TCP_NODELAY");
}

Fd connect_to(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  const TimePoint until = Clock::now() + kConnectLimit;
  while (true) {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) throw_errno("make a socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      disable_nagle(socket);
      return socket;
    }
    if (errno != ECONNREFUSED || Clock::now() > until) throw_errno("connect to port " + std::to_string(port));
    std::this_thread::sleep_for(milliseconds(1));
  }
}

void send_all(const Fd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) throw_errno("send");
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receive_exactly(const Fd& socket, std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t got = ::recv(socket.get(), bytes.data(), size, MSG_WAITALL);
  if (got < 0) throw_errno("receive");
  if (static_cast<std::size_t>(got) != size) throw std::runtime_error("the peer has closed the connection");
  return bytes;
}

std::string_view receive_some(const Fd& socket) {
  static std::array<char, 64 * 1024> buffer;
  const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (got < 0) throw_errno("receive");
  if (got == 0) throw std::runtime_error("the peer has closed the connection");
  return {buffer.data(), static_cast<std::size_t>(got)};
}

Readable::Readable() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw_errno("epoll_create1");
}

void Readable::add(const Fd& fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) throw_errno("epoll_ctl");
}

void Readable::wait(milliseconds limit, const std::function<void(std::uint64_t)>& use) {
  std::array<epoll_event, 256> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(limit.count()));
  if (count < 0 && errno == EINTR) return;
  if (count < 0) throw_errno("epoll_wait");
  if (count == 0) throw std::runtime_error("nothing was heard for " + std::to_string(limit.count()) + " ms");
  for (int i = 0; i < count; ++i) use(events[static_cast<std::size_t>(i)].data.u64);
}

}  // namespace lockstep::bench
