/// The client's side of CURVE (rfc.zeromq.org/spec/26), as far as a simulated agent needs it: commands of the
/// handshake, and sealed messages. Pure: no socket. Throws std::runtime_error when the server can't be believed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/key_files.hpp"

namespace lockstep::bench {

class CurveClient {
 public:
  explicit CurveClient(const PeerKey& key);

  /// The handshake: bodies of commands, to be sent and received in this order.
  [[nodiscard]] std::string hello();
  [[nodiscard]] std::string initiate(std::string_view welcome, std::string_view metadata);
  void ready(std::string_view ready);

  [[nodiscard]] std::string seal(std::string_view payload);
  struct Opened {
    bool more = false;         ///< another part of the same message follows
    std::string_view payload;  ///< valid until the next call
  };
  [[nodiscard]] Opened open(std::string_view message);

 private:
  using Key = std::array<unsigned char, 32>;
  /// `prefix` and eight or sixteen bytes that are used once.
  using Nonce = std::array<unsigned char, 24>;

  [[nodiscard]] std::string next_short_nonce();

  Key server_{};                             ///< S
  Key public_{}, secret_{};                  ///< C, c
  Key session_public_{}, session_secret_{};  ///< C', c'
  Key session_server_{};                     ///< S'
  Key shared_{};                             ///< of C' and S', computed once
  std::uint64_t nonce_ = 0;
  std::string opened_;
};

}  // namespace lockstep::bench
