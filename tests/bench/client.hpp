/// What the benchmarks ask of a broker in the place of the command line. One thread; throws as tcp.hpp does.
#pragma once

#include <cstdint>

#include "schemas/messages.hpp"
#include "tests/bench/zmtp_connection.hpp"

namespace lockstep::bench {

inline const GroupId kBenchGroup("bench");

class Client {
 public:
  /// Connects and says Hello.
  explicit Client(std::uint16_t router_port, const PeerKey* key = nullptr);
  /// Asks, and waits for the answer. A refusal throws.
  Message ask(const RoundId& round, Body body);
  /// Opens a dump with leave-running of kBenchGroup; its name is one that no round of this client had before. Phases
  /// wait long: a slow machine makes a slow benchmark, not a failed one.
  [[nodiscard]] RoundId open_round(std::vector<RoundMember> members);

 private:
  ZmtpConnection connection_;
  Readable readable_;
  std::uint64_t asked_ = 0;
};

}  // namespace lockstep::bench
