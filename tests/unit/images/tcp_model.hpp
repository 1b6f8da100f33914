/// Two TCP ends that talk over a lossy, reordering-free wire, one small step at a time: just enough of the kernel's
/// rules to say what a save at any instant looks like.
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "cli/images/tcp_streams.hpp"

namespace lockstep::images::test {

class TcpModel {
 public:
  explicit TcpModel(std::uint32_t seed);

  /// One random thing happens: a write, a segment sent or received, an acknowledgement, a read, a shutdown.
  void step();
  /// End 0 or 1 as CRIU would save it now (soccr/soccr.c: refresh_sk(), get_queue()).
  [[nodiscard]] TcpEnd save(std::size_t end) const;

  /// The kernel's own numbers: FINs counted. `sent` takes a queued FIN for sent once all bytes before it are, since a
  /// save does not tell.
  struct Numbers {
    std::uint64_t acknowledged, sent, received;
  };
  [[nodiscard]] Numbers numbers(std::size_t end) const;

 private:
  struct End {
    std::uint64_t first = 0;                                ///< its initial sequence number, so that numbers wrap
    std::uint64_t acknowledged = 0, sent = 0, written = 0;  ///< absolute; FIN included once it is queued, or sent
    std::uint64_t received = 0, read = 0;                   ///< of the other's numbers
    bool fin = false;
    bool fin_received = false;
    bool fin_was_first = false;  ///< queued before the other's came
  };
  [[nodiscard]] TcpState state(const End& end) const;

  std::mt19937 random_;
  std::array<End, 2> ends_;
};

}  // namespace lockstep::images::test
