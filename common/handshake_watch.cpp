#include "common/handshake_watch.hpp"

#include <fcntl.h>
#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>

namespace lockstep {
namespace {

constexpr int kEvents =
    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr int kEventsAtOnce = 1'000;
constexpr int kListenerEvents = ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPT_FAILED;

HandshakeFailure failure_of(std::uint16_t event, std::uint32_t value) {
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) return HandshakeFailure::not_accepted;
  if (event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) return HandshakeFailure::broken;
  if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) return HandshakeFailure::other_terms;
  return value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC ? HandshakeFailure::other_key : HandshakeFailure::broken;
}

}  // namespace

Result<HandshakeWatch> HandshakeWatch::create(zmq::context_t& context, zmq::socket_t& socket) {
  static std::atomic<unsigned> number{0};
  const std::string endpoint = "inproc://handshakes-" + std::to_string(++number);
  try {
    if (::zmq_socket_monitor(socket.handle(), endpoint.c_str(), kEvents | kListenerEvents) != 0) throw zmq::error_t();
    HandshakeWatch watch;
    watch.socket_ = socket.handle();
    watch.pair_ = zmq::socket_t(context, zmq::socket_type::pair);
    watch.pair_.set(zmq::sockopt::linger, 0);
    watch.pair_.set(zmq::sockopt::rcvhwm, 0);
    watch.pair_.connect(endpoint);
    return watch;
  } catch (const zmq::error_t& error) {
    return fail(ErrorCode::system, "watch a ZeroMQ socket", error.what());
  }
}

HandshakeWatch& HandshakeWatch::operator=(HandshakeWatch&& other) noexcept {
  if (this == &other) return *this;
  stop();
  socket_ = std::exchange(other.socket_, nullptr);
  pair_ = std::move(other.pair_);
  listeners_ = std::move(other.listeners_);
  no_room_ = other.no_room_;
  return *this;
}

/// The monitor before its reader: with nobody to hear it libzmq's thread would wait.
void HandshakeWatch::stop() {
  if (socket_ != nullptr) (void)::zmq_socket_monitor(std::exchange(socket_, nullptr), nullptr, 0);
  pair_.close();
}

void HandshakeWatch::add_listener(int fd) {
  // Others than libzmq may accept at it: the one that comes too late must not wait there.
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) listeners_.push_back(fd);
}

std::optional<HandshakeFailure> HandshakeWatch::next() {
  if (!pair_) return std::nullopt;
  try {
    // libzmq tells of a lack of room without a pause: the caller must come to do something about it.
    for (int i = 0; i < kEventsAtOnce; ++i) {
      zmq::message_t event;
      zmq::message_t endpoint;
      if (!pair_.recv(event, zmq::recv_flags::dontwait)) return std::nullopt;
      if (event.more()) (void)pair_.recv(endpoint, zmq::recv_flags::dontwait);
      std::uint16_t number = 0;
      std::uint32_t value = 0;
      if (event.size() < sizeof number + sizeof value) return std::nullopt;
      std::memcpy(&number, event.data(), sizeof number);
      std::memcpy(&value, static_cast<const char*>(event.data()) + sizeof number, sizeof value);
      if (number == ZMQ_EVENT_LISTENING) add_listener(static_cast<int>(value));
      if (number == ZMQ_EVENT_ACCEPT_FAILED && (value == EMFILE || value == ENFILE)) no_room_ = true;
      if ((number & kEvents) != 0) return failure_of(number, value);
    }
  } catch (const zmq::error_t&) {  // the context is ending
  }
  return std::nullopt;
}

}  // namespace lockstep
