/// Why connections of a ZeroMQ socket do not come about. libzmq tries again in silence; what went wrong only its
/// monitor tells. The owner's thread, which polls it.
#pragma once

#include <cstdint>
#include <optional>
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
  /// Before the socket binds or connects. `socket` outlives the watch or goes with it.
  [[nodiscard]] static Result<HandshakeWatch> create(zmq::context_t& context, zmq::socket_t& socket);

  /// For a poll list: readable when there is something to take. Null for an empty watch.
  [[nodiscard]] void* handle() { return pair_ ? pair_.handle() : nullptr; }
  /// The next failure, without waiting; nothing when there is none.
  [[nodiscard]] std::optional<HandshakeFailure> next();

 private:
  zmq::socket_t pair_;
};

}  // namespace lockstep
