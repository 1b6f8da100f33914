/// One TCP connection to a socket of libzmq's, past its handshake, plain or encrypted. One thread; throws as tcp.hpp
/// does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/fd.hpp"
#include "tests/bench/curve_client.hpp"
#include "tests/bench/tcp.hpp"
#include "tests/bench/zmtp.hpp"

namespace lockstep::bench {

class ZmtpConnection {
 public:
  /// Connects and greets as a socket of this type: DEALER, SUB.
  /// With a key by CURVE, else plain.
  ZmtpConnection(std::uint16_t port, std::string_view socket_type, const PeerKey* key = nullptr);

  [[nodiscard]] const Fd& fd() const { return socket_; }
  void subscribe(std::string_view topic) {
    if (curve_) return send(zmtp::subscription_payload(topic));
    send_all(socket_, zmtp::subscription(topic, minor_));
  }
  void send(std::string_view payload) {
    send_all(socket_, curve_ ? zmtp::message(curve_->seal(payload)) : zmtp::message(payload));
  }

  /// Reads what has come, without waiting, and calls `use` with the last frame of every whole message: what is before
  /// it is a publication's topic.
  template <class Use>
  void receive(const Use& use) {
    parser_.append(receive_some(socket_));
    while (const auto frame = parser_.next()) {
      if (frame->command) continue;
      if (!curve_) {
        if (!frame->more) use(frame->body);
      } else if (const auto opened = curve_->open(frame->body); !opened.more) {
        use(opened.payload);
      }
    }
  }

 private:
  /// The next command of the handshake; nothing else can come yet: nobody has said or subscribed to anything.
  [[nodiscard]] std::string next_command();

  Fd socket_;
  std::optional<CurveClient> curve_;
  zmtp::Parser parser_;
  int minor_ = 0;
};

}  // namespace lockstep::bench
