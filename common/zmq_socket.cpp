#include "common/zmq_socket.hpp"

#include <algorithm>

namespace lockstep {
namespace {

constexpr int kLingerMs = 300;
constexpr int kHandshakeMs = 5'000;
/// Messages that may wait for one peer. A barrier sends each peer a handful: this is for an operator's terminal.
constexpr int kHighWaterMark = 10'000;
constexpr int kBacklog = 4'096;
constexpr int kFirstReconnectMs = 50;
constexpr int kLastReconnectMs = 1'000;
/// ZMQ_ZAP_ENFORCE_DOMAIN: zmq.h shows it among its drafts only, libzmq 4.3 has it in every build.
constexpr int kEnforceDomain = 93;

Failure fail_zmq(const zmq::error_t& error, std::string operation) {
  return Failure(Error{ErrorCode::unavailable, 0, std::move(operation), error.what()});
}

}  // namespace

Result<zmq::socket_t> open_zmq_socket(zmq::context_t& context, zmq::socket_type type, std::size_t max_message) {
  try {
    zmq::socket_t socket(context, type);
    socket.set(zmq::sockopt::linger, kLingerMs);
    socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(max_message));
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    socket.set(zmq::sockopt::sndhwm, kHighWaterMark);
    socket.set(zmq::sockopt::rcvhwm, kHighWaterMark);
    socket.set(zmq::sockopt::backlog, kBacklog);
    socket.set(zmq::sockopt::reconnect_ivl, kFirstReconnectMs);
    socket.set(zmq::sockopt::reconnect_ivl_max, kLastReconnectMs);
    return socket;
  } catch (const zmq::error_t& error) {
    return fail_zmq(error, "open a ZeroMQ socket");
  }
}

Result<void> guard_zmq(zmq::socket_t& socket, const std::string& domain, const std::string& secret_key) {
  try {
    socket.set(zmq::sockopt::zap_domain, domain);
    // Without a handler CURVE would take any key otherwise.
    const int enforce = 1;
    if (::zmq_setsockopt(socket.handle(), kEnforceDomain, &enforce, sizeof enforce) != 0) throw zmq::error_t();
    const bool encrypted = !secret_key.empty();
    if (encrypted != (socket.get(zmq::sockopt::mechanism) == ZMQ_CURVE)) socket.set(zmq::sockopt::curve_server, encrypted);
    if (encrypted) socket.set(zmq::sockopt::curve_secretkey, secret_key);
    return {};
  } catch (const zmq::error_t& error) {
    return fail_zmq(error, "guard a ZeroMQ socket");
  }
}

Result<void> secure_zmq(zmq::socket_t& socket, const PeerKey& key) {
  try {
    socket.set(zmq::sockopt::curve_serverkey, key.broker_key);
    socket.set(zmq::sockopt::curve_publickey, key.entry.public_key);
    socket.set(zmq::sockopt::curve_secretkey, key.secret_key);
    return {};
  } catch (const zmq::error_t& error) {
    return fail_zmq(error, "use the key in " + key.path);
  }
}

Result<void> bind_zmq(zmq::socket_t& socket, const std::string& endpoint) {
  try {
    socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
    socket.bind(endpoint);
    return {};
  } catch (const zmq::error_t& error) {
    return fail_zmq(error, "listen on " + endpoint);
  }
}

Result<void> connect_zmq(zmq::socket_t& socket, const std::string& endpoint) {
  try {
    socket.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
    socket.connect(endpoint);
    return {};
  } catch (const zmq::error_t& error) {
    return fail_zmq(error, "connect to " + endpoint);
  }
}

Sent send_frames(zmq::socket_t& socket, const std::vector<std::string_view>& frames) {
  try {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      auto flags = zmq::send_flags::dontwait;
      if (i + 1 < frames.size()) flags = flags | zmq::send_flags::sndmore;
      // libzmq decides on the first frame whether a message can go; the others then never fail.
      if (!socket.send(zmq::buffer(frames[i]), flags)) return Sent::queue_full;
    }
    return Sent::yes;
  } catch (const zmq::error_t&) {  // EHOSTUNREACH of a mandatory ROUTER
    return Sent::no_such_peer;
  }
}

std::vector<zmq::message_t> receive_frames(zmq::socket_t& socket) {
  std::vector<zmq::message_t> frames;
  try {
    do {
      if (!socket.recv(frames.emplace_back(), zmq::recv_flags::dontwait)) return {};
    } while (frames.back().more());
  } catch (const zmq::error_t&) {  // the context is ending, or a signal came: there is nothing to take now
    return {};
  }
  return frames;
}

void poll_until(std::vector<zmq::pollitem_t>& items, TimePoint until) {
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  try {
    zmq::poll(items, std::clamp(left, milliseconds(0), milliseconds(60'000)));
  } catch (const zmq::error_t&) {
    for (zmq::pollitem_t& item : items) item.revents = 0;
  }
}

}  // namespace lockstep
