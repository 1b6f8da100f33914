/// The floor under a barrier over TCP: a server that counts one small message from each of N connections and then
/// writes one to each, with epoll and nothing else. One thread on either side, two processes, as with the broker.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/bench/agents.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/tcp.hpp"

namespace lockstep::bench {

class EchoBarrier {
 public:
  /// Starts the server and connects to it so many times.
  explicit EchoBarrier(std::size_t count);
  /// Since the last message was sent, until the last answer has been read.
  [[nodiscard]] Duration pass(Arrival arrival);

 private:
  EchoBarrier(std::size_t count, Fd listener);

  Child server_;
  std::vector<Fd> connections_;
  Readable readable_;
};

}  // namespace lockstep::bench
