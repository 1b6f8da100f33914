/// One TCP connection to a socket of libzmq's, past its handshake. One thread; throws as tcp.hpp does.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/fd.hpp"
#include "tests/bench/tcp.hpp"
#include "tests/bench/zmtp.hpp"

namespace lockstep::bench {

class ZmtpConnection {
 public:
  /// Connects and greets as a socket of this type: DEALER, SUB.
  ZmtpConnection(std::uint16_t port, std::string_view socket_type);

  [[nodiscard]] const Fd& fd() const { return socket_; }
  void subscribe(std::string_view topic) { send_all(socket_, zmtp::subscription(topic, minor_)); }
  void send(std::string_view payload) { send_all(socket_, zmtp::message(payload)); }

  /// Reads what has come, without waiting, and calls `use` with the last frame of every whole message: what is before
  /// it is a publication's topic.
  template <class Use>
  void receive(const Use& use) {
    parser_.append(receive_some(socket_));
    while (const auto frame = parser_.next()) {
      if (!frame->command && !frame->more) use(frame->body);
    }
  }

 private:
  Fd socket_;
  zmtp::Parser parser_;
  int minor_ = 0;
};

}  // namespace lockstep::bench
