#include "common/handshake_watch.hpp"

#include <zmq.h>

#include <atomic>
#include <cstring>
#include <string>

namespace lockstep {
namespace {

constexpr int kEvents =
    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

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
    if (::zmq_socket_monitor(socket.handle(), endpoint.c_str(), kEvents) != 0) throw zmq::error_t();
    HandshakeWatch watch;
    watch.pair_ = zmq::socket_t(context, zmq::socket_type::pair);
    watch.pair_.set(zmq::sockopt::linger, 0);
    watch.pair_.connect(endpoint);
    return watch;
  } catch (const zmq::error_t& error) {
    return fail(ErrorCode::system, "watch a ZeroMQ socket", error.what());
  }
}

std::optional<HandshakeFailure> HandshakeWatch::next() {
  if (!pair_) return std::nullopt;
  try {
    zmq::message_t event;
    zmq::message_t endpoint;
    if (!pair_.recv(event, zmq::recv_flags::dontwait)) return std::nullopt;
    if (event.more()) (void)pair_.recv(endpoint, zmq::recv_flags::dontwait);
    std::uint16_t number = 0;
    std::uint32_t value = 0;
    if (event.size() < sizeof number + sizeof value) return std::nullopt;
    std::memcpy(&number, event.data(), sizeof number);
    std::memcpy(&value, static_cast<const char*>(event.data()) + sizeof number, sizeof value);
    if ((number & kEvents) == 0) return std::nullopt;  // the monitored socket has gone
    return failure_of(number, value);
  } catch (const zmq::error_t&) {
    return std::nullopt;
  }
}

}  // namespace lockstep
