#include "tests/app/held_socket.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/app/endpoint.hpp"

namespace lockstep::traffic {
namespace {

constexpr std::size_t kBlock = 64 * 1024;

int queue_of(int socket, unsigned long which) {
  int bytes = 0;
  return socket >= 0 && ::ioctl(socket, which, &bytes) == 0 ? bytes : 0;
}

}  // namespace

char byte_at(std::uint64_t position) { return static_cast<char>((position * 0x9E3779B97F4A7C15U) >> 56U); }

HeldSocket::HeldSocket(std::string name, Fd socket)
    : name_(std::move(name)),
      socket_(std::move(socket)),
      local_(local_address(socket_.get())),
      peer_(peer_address(socket_.get())) {}

void HeldSocket::close() { socket_.reset(); }

void HeldSocket::work() {
  if (socket_) send_some();
  if (socket_ && reading_ && !end_of_file_) read_some();
  if (!socket_ || (reading_ && !end_of_file_)) return;
  // Whoever does not read, or no more, hears of an error nevertheless.
  int number = 0;
  socklen_t size = sizeof number;
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &number, &size);
  if (number != 0) fail(number);
}

short HeldSocket::events() const {
  const int in = reading_ && !end_of_file_ ? POLLIN : 0;
  const int out = sent_ < wanted_ ? POLLOUT : 0;
  return static_cast<short>(in | out);
}

std::string HeldSocket::state() const {
  if (!error_.empty()) return "failed";
  return socket_ ? "open" : "closed";
}

int HeldSocket::unread() const { return queue_of(socket_.get(), SIOCINQ); }
int HeldSocket::unacknowledged() const { return queue_of(socket_.get(), SIOCOUTQ); }

void HeldSocket::send_some() {
  std::array<char, kBlock> block;
  while (sent_ < wanted_) {
    const std::size_t size = std::min<std::uint64_t>(wanted_ - sent_, kBlock);
    for (std::size_t at = 0; at < size; ++at) block[at] = byte_at(sent_ + at);
    const ssize_t taken = ::send(socket_.get(), block.data(), size, MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno != EAGAIN && errno != EINTR) fail(errno);
      return;
    }
    sent_ += static_cast<std::uint64_t>(taken);
  }
  if (!shut_down_ || write_closed_) return;
  ::shutdown(socket_.get(), SHUT_WR);
  write_closed_ = true;
}

void HeldSocket::read_some() {
  std::array<char, kBlock> block;
  while (true) {
    const ssize_t size = ::recv(socket_.get(), block.data(), block.size(), 0);
    if (size < 0) {
      if (errno != EAGAIN && errno != EINTR) fail(errno);
      return;
    }
    if (size == 0) {
      end_of_file_ = true;
      return;
    }
    for (std::size_t at = 0; at < static_cast<std::size_t>(size); ++at) {
      if (block[at] != byte_at(received_ + at)) corrupt_ = true;
    }
    received_ += static_cast<std::uint64_t>(size);
  }
}

void HeldSocket::fail(int number) {
  const char* name = ::strerrorname_np(number);
  error_ = name == nullptr ? std::to_string(number) : name;
  socket_.reset();
}

}  // namespace lockstep::traffic
