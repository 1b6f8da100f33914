/// The command line's end of the conversation with the broker: a DEALER for questions, a SUB for the status topic.
///
/// Single-threaded. No exception of libzmq leaves broker_client.cpp. The broker may be restarted while we talk: it then
/// answers Refused{say_hello}, and request() introduces us again by itself; whoever uses send() and receive() does so
/// with hello_again().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/broker_connection.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// How long a broker may take to answer (PROTOCOL.md, "Who waits how long").
inline constexpr milliseconds kAnswerLimit{5'000};

class BrokerClient {
 public:
  struct Incoming {
    Message message;
    bool published = false;  ///< came over PUB: answers no question
  };

  /// Begins to connect; nothing waits here. `releases` is the PUB endpoint, empty to do without. invalid when an
  /// endpoint is none. `key`: what tcp endpoints are spoken to with.
  [[nodiscard]] static Result<BrokerClient> connect(const std::string& broker, const std::string& releases,
                                                    const std::optional<PeerKey>& key = {});

  /// Says Hello and waits for the Welcome. unavailable when none comes in time; refused when the broker does not accept
  /// the key.
  [[nodiscard]] Result<Welcome> hello(milliseconds limit = kAnswerLimit);

  /// Asks and waits for the answer; asks again each second, under the same number. refused with the broker's reason,
  /// unavailable when no answer comes in time.
  [[nodiscard]] Result<Message> request(Message question, milliseconds limit = kAnswerLimit);

  /// Sends without waiting. A message whose sequence is 0 gets the next number, another one is sent again as it is.
  /// A message that cannot go out now is dropped, as the network might have: callers repeat what has not been answered.
  void send(Message& message);
  /// Hello, without waiting for the Welcome.
  void hello_again();
  /// What has come, newest last; nothing when there is nothing. What can't be decoded is counted and skipped.
  [[nodiscard]] std::optional<Incoming> receive();

  /// Adds our sockets to a zmq::poll list.
  void add_to(std::vector<zmq::pollitem_t>& items);

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

 private:
  BrokerClient() = default;
  [[nodiscard]] std::optional<Incoming> receive_from(zmq::socket_t& socket, bool published);
  [[nodiscard]] bool wait_until(TimePoint end);
  [[nodiscard]] Failure no_answer(milliseconds waited) const;
  /// What the newest failed handshake comes to, where there has been one.
  [[nodiscard]] std::optional<HandshakeFailure> failed_handshake();

  // In this order: a context waits for its sockets when it goes.
  std::unique_ptr<zmq::context_t> context_;
  zmq::socket_t questions_;
  HandshakeWatch handshakes_;  ///< at questions_
  std::optional<HandshakeFailure> handshake_;
  std::optional<PeerKey> key_;
  zmq::socket_t status_;  ///< may be closed
  std::string address_;
  std::uint64_t sequence_ = 0;
  std::uint64_t malformed_ = 0;
};

}  // namespace lockstep::cli
