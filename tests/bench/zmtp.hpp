/// The client's side of ZMTP 3.0 and 3.1 (rfc.zeromq.org/spec/23 and /37), as far as a simulated agent needs it: the
/// bytes to send, and the peer's bytes cut into frames. Pure: no socket.
///
/// By hand, because a thousand libzmq clients in one process would be the larger part of what a benchmark of the broker
/// measures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep::bench::zmtp {

inline constexpr std::size_t kGreetingSize = 64;

/// The mechanisms that we know. Without a key version 3.1 is spoken, with CURVE 3.0: there a subscription is a message.
inline constexpr std::string_view kPlain = "NULL";
inline constexpr std::string_view kCurve = "CURVE";

[[nodiscard]] std::string greeting(std::string_view mechanism);
/// The minor version that the peer's greeting (kGreetingSize bytes) leaves for the connection: 0 or 1. Throws
/// std::runtime_error when it is no greeting of ZMTP 3 with this mechanism.
[[nodiscard]] int negotiated_minor(std::string_view peer_greeting, std::string_view mechanism);

/// A command, from its body: its name (its length before it) and its data.
[[nodiscard]] std::string command(std::string_view body);
/// What a socket says of itself in a handshake.
[[nodiscard]] std::string metadata(std::string_view socket_type);

/// `socket_type`: DEALER, SUB.
[[nodiscard]] std::string ready_command(std::string_view socket_type);
/// A SUBSCRIBE command from 3.1 on, before that a message that begins with a byte of 1.
[[nodiscard]] std::string subscription(std::string_view topic, int minor);
/// The message that subscribes before 3.1.
[[nodiscard]] std::string subscription_payload(std::string_view topic);
/// A message of one frame.
[[nodiscard]] std::string message(std::string_view payload);

struct Frame {
  bool command = false;
  bool more = false;      ///< another frame of the same message follows
  std::string_view body;  ///< valid until the next call of Parser::append()
};

/// Cuts a stream into frames.
class Parser {
 public:
  void append(std::string_view bytes);
  /// The next whole frame; nothing when more bytes are needed.
  [[nodiscard]] std::optional<Frame> next();

 private:
  std::string buffer_;
  std::size_t taken_ = 0;  ///< bytes at the front of buffer_ that have been handed out
};

}  // namespace lockstep::bench::zmtp
