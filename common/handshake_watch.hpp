/// Why connections of a ZeroMQ socket do not come about. libzmq tries again in silence; what went wrong only its
/// monitor tells. The owner's thread, which polls it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "common/result.hpp"

namespace lockstep {

/// What a handshake has failed for.
enum class HandshakeFailure : std::uint8_t {
  not_accepted,  ///< the other side's ZAP handler has refused our key (seen by who connects), or ours theirs
  other_terms,   ///< one side is encrypted and the other is not
  other_key,     ///< they know each other under another key
  broken,        ///< it was no handshake, or ended in the middle
};

class HandshakeWatch {
 public:
  HandshakeWatch() = default;
  HandshakeWatch(HandshakeWatch&& other) noexcept { *this = std::move(other); }
  HandshakeWatch& operator=(HandshakeWatch&& other) noexcept;
  ~HandshakeWatch() { stop(); }
  /// Before the socket binds or connects. `socket` outlives the watch. What the watch hears of must be taken with next(),
  /// again and again: nothing limits what waits, because libzmq's own thread would stand still until there is room.
  [[nodiscard]] static Result<HandshakeWatch> create(zmq::context_t& context, zmq::socket_t& socket);

  /// For a poll list: readable when there is something to take. Null for an empty watch.
  [[nodiscard]] void* handle() { return pair_ ? pair_.handle() : nullptr; }
  /// The next failure, without waiting; nothing when there is none.
  [[nodiscard]] std::optional<HandshakeFailure> next();

  /// As next() has heard: the descriptors that the socket listens on, which are libzmq's and do not block, and whether a
  /// connection could not be accepted for want of a descriptor (since it was last asked).
  [[nodiscard]] const std::vector<int>& listeners() const { return listeners_; }
  [[nodiscard]] bool take_no_room() { return std::exchange(no_room_, false); }

 private:
  void stop();
  void add_listener(int fd);

  void* socket_ = nullptr;
  std::vector<int> listeners_;
  bool no_room_ = false;
  zmq::socket_t pair_;
};

}  // namespace lockstep
