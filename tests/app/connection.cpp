#include "tests/app/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/app/endpoint.hpp"

namespace lockstep::traffic {
namespace {

constexpr std::size_t kOutBytes = 64 * 1024;

}  // namespace

Connection::Connection(Fd socket, Side side, std::uint32_t number, std::uint64_t rate)
    : socket_(std::move(socket)),
      side_(side),
      number_(number),
      rate_(rate),
      local_(local_address(socket_.get())),
      peer_(peer_address(socket_.get())),
      verifier_(side == Side::server ? Side::client : Side::server) {
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Connection::on_readable(Clock::time_point now) {
  const auto space = verifier_.space();
  const ssize_t size = ::recv(socket_.get(), space.data(), space.size(), 0);
  if (size < 0) {
    if (errno != EAGAIN && errno != EINTR) fail(std::string("recv: ") + std::strerror(errno));
    return;
  }
  if (size == 0) {
    if (!verifier_.goodbye()) return fail("end of stream without a goodbye");
    read_closed_ = true;
    return finish_when_both_left();
  }
  if (verifier_.commit(static_cast<std::size_t>(size)) > 0) {
    longest_pause_ = std::max(longest_pause_, now - last_message_);
    last_message_ = now;
  }
  if (!verifier_.framed()) return fail("the stream lost its framing");
  if (number_ == 0) number_ = verifier_.connection();
  if (verifier_.goodbye()) leaving_ = true;
}

bool Connection::wants_to_write(Clock::time_point now) const {
  if (state_ != State::open || write_closed_ || number_ == 0) return false;
  return out_at_ < out_.size() || leaving_ || allowance(now) > 0;
}

void Connection::on_writable(Clock::time_point now) {
  if (!wants_to_write(now)) return;
  if (out_at_ == out_.size()) fill(now);
  const ssize_t size = ::send(socket_.get(), out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL);
  if (size < 0) {
    if (errno != EAGAIN && errno != EINTR) fail(std::string("send: ") + std::strerror(errno));
    return;
  }
  out_at_ += static_cast<std::size_t>(size);
  if (goodbye_queued_ && out_at_ == out_.size()) {
    ::shutdown(socket_.get(), SHUT_WR);
    write_closed_ = true;
    finish_when_both_left();
  }
}

void Connection::fill(Clock::time_point now) {
  const std::uint32_t direction = side_ == Side::server ? kFromServer : 0;
  out_.clear();
  out_at_ = 0;
  if (leaving_) {
    append_frame(out_, number_, ++sequence_, direction | kGoodbye);
    goodbye_queued_ = true;
    return;
  }
  for (std::uint64_t left = allowance(now); left > 0 && out_.size() < kOutBytes; --left) {
    append_frame(out_, number_, ++sequence_, direction);
  }
}

std::uint64_t Connection::allowance(Clock::time_point now) const {
  if (rate_ == 0) return ~std::uint64_t{0};
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - started_).count();
  const std::uint64_t due = static_cast<std::uint64_t>(elapsed) * rate_ / 1000 + 1;
  return due > sequence_ ? due - sequence_ : 0;
}

void Connection::fail(const std::string& why) {
  state_ = State::failed;
  error_ = why;
  socket_.reset();
}

void Connection::finish_when_both_left() {
  if (!read_closed_ || !write_closed_) return;
  state_ = State::finished;
  socket_.reset();
}

}  // namespace lockstep::traffic
