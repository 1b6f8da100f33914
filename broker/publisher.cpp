#include "broker/publisher.hpp"

#include "broker/gate.hpp"
#include "common/zmq_socket.hpp"

namespace lockstep::broker {
namespace {

/// libzmq's I/O thread closes the former listener; until then its port is taken.
constexpr milliseconds kAgain{5};
constexpr milliseconds kAgainLater{1'000};
constexpr int kQuickTries = 200;
/// All that a publisher receives are subscriptions. libzmq keeps a node for each byte of each.
constexpr std::size_t kMaxSubscription = 64;
/// libzmq counts the commands of a handshake as messages: CURVE's INITIATE takes 257 bytes and the metadata.
constexpr std::size_t kMaxCurveCommand = 1'024;

}  // namespace

Result<void> Publisher::bind_local(const std::string& endpoint, const std::string& domain) {
  if (!local_) {
    auto socket = open_zmq_socket(*context_, zmq::socket_type::pub, kMaxSubscription);
    if (!socket) return Failure(socket.error());
    auto watch = HandshakeWatch::create(*context_, *socket);
    if (!watch) return Failure(watch.error());
    local_watch_ = std::move(*watch);
    local_ = std::move(*socket);
  }
  if (auto guarded = guard_zmq(local_, domain, {}); !guarded) return guarded;
  return bind_zmq(local_, endpoint);
}

Result<void> Publisher::open_network() {
  auto socket = open_zmq_socket(*context_, zmq::socket_type::pub, kMaxCurveCommand);
  if (!socket) return Failure(socket.error());
  if (auto guarded = guard_zmq(*socket, std::string(kNetworkDomain), secret_key_); !guarded) return guarded;
  auto watch = HandshakeWatch::create(*context_, *socket);
  if (!watch) return Failure(watch.error());
  handshakes_ = std::move(*watch);
  network_ = std::move(*socket);
  return {};
}

Result<void> Publisher::bind_network(const std::string& endpoint) {
  if (!network_) {
    if (auto opened = open_network(); !opened) return opened;
  }
  if (auto bound = bind_zmq(network_, endpoint); !bound) return bound;
  endpoints_.push_back(endpoint);
  bound_ = endpoints_.size();
  return {};
}

void Publisher::publish(std::string_view topic, std::string_view bytes) {
  // PUB never refuses: what a slow subscriber misses, it asks for.
  if (local_) (void)send_frames(local_, {topic, bytes});
  if (network_) (void)send_frames(network_, {topic, bytes});
}

void Publisher::cut_off() {
  if (endpoints_.empty()) return;
  if (network_) network_.set(zmq::sockopt::linger, 0);  // what is under way to them is not to go out either
  handshakes_ = HandshakeWatch();
  network_.close();
  bound_ = 0;
  failures_ = 0;
  resume_at_ = Clock::now();
}

std::optional<std::string> Publisher::resume(TimePoint now) {
  if (!resume_at_ || now < *resume_at_) return std::nullopt;
  Result<void> done;
  if (!network_) done = open_network();
  while (done && bound_ < endpoints_.size()) {
    done = bind_zmq(network_, endpoints_[bound_]);
    if (done) ++bound_;
  }
  if (done) {
    resume_at_.reset();
    return std::nullopt;
  }
  ++failures_;
  resume_at_ = now + (failures_ < kQuickTries ? kAgain : kAgainLater);
  if (failures_ < kQuickTries) return std::nullopt;
  return "can't publish to the network: " + done.error().message() + "; agents ask for each release meanwhile";
}

}  // namespace lockstep::broker
