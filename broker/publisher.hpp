/// The broker's PUB sockets: one for this machine, one for peers with keys. The caller's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "common/clock.hpp"
#include "common/handshake_watch.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

class Publisher {
 public:
  /// `secret_key`: the broker's, for tcp endpoints; empty where there are no keys.
  Publisher(zmq::context_t& context, std::string secret_key) : context_(&context), secret_key_(std::move(secret_key)) {}

  /// Binds one endpoint. Not for others than `local`, tcp ones are remembered for cut_off().
  [[nodiscard]] Result<void> bind_local(const std::string& endpoint, const std::string& domain);
  [[nodiscard]] Result<void> bind_network(const std::string& endpoint);

  void publish(std::string_view topic, std::string_view bytes);

  /// Ends the connection of everybody who came with a key: libzmq can't end a single one. Those whose keys still count
  /// connect again by themselves within a moment, and ask for what they have missed meanwhile.
  void cut_off();
  /// Where cut_off() has left something to do: when resume() wants to be called.
  [[nodiscard]] std::optional<TimePoint> resume_at() const { return resume_at_; }
  /// Binds what is not bound again; returns what stands against it for longer than a moment.
  [[nodiscard]] std::optional<std::string> resume(TimePoint now);

  /// Handshakes that have failed at the network's socket.
  [[nodiscard]] HandshakeWatch& handshakes() { return handshakes_; }
  /// The same of this machine's.
  [[nodiscard]] HandshakeWatch& local_watch() { return local_watch_; }

 private:
  [[nodiscard]] Result<void> open_network();

  zmq::context_t* context_;
  std::string secret_key_;
  zmq::socket_t local_;
  zmq::socket_t network_;
  HandshakeWatch handshakes_;   ///< at network_
  HandshakeWatch local_watch_;  ///< at local_
  std::vector<std::string> endpoints_;  ///< of network_
  std::size_t bound_ = 0;               ///< the first so many of them are
  std::optional<TimePoint> resume_at_;
  int failures_ = 0;
};

}  // namespace lockstep::broker
