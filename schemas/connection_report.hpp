/// What is told about the connections of a round: counts for each member, what was closed, what did not come back as it
/// was saved.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <tuple>

#include "common/ids.hpp"

namespace lockstep {

/// What became of connections that were to be closed. A closed one's application gets ECONNABORTED, its peer a reset.
struct ClosedConnections {
  std::uint32_t closed = 0;
  std::uint32_t already_gone = 0;
  /// Received and acknowledged, not read by the application. The kernel still hands them out in front of the error;
  /// an application that looks at the error first loses them.
  std::uint64_t discarded_bytes = 0;
  /// Written by the application, not acknowledged by the peer: thrown away.
  std::uint64_t unsent_bytes = 0;
  auto operator<=>(const ClosedConnections&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.closed, self.already_gone, self.discarded_bytes, self.unsent_bytes);
  }
};

/// A member's sockets by label (schemas/connections.hpp), and what a restore closed of them.
struct ConnectionCounts {
  std::uint32_t internal = 0;
  std::uint32_t internal_service = 0;
  std::uint32_t external = 0;
  std::uint32_t listening = 0;
  std::uint32_t half_open = 0;
  std::uint32_t orphaned = 0;
  std::uint32_t finished = 0;
  std::uint32_t ambiguous = 0;
  ClosedConnections closed{};
  auto operator<=>(const ConnectionCounts&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.internal, self.internal_service, self.external, self.listening, self.half_open, self.orphaned,
                    self.finished, self.ambiguous, self.closed);
  }
};

/// One thing that is not as it was saved.
struct ConnectionDifference {
  std::string connection;  ///< "10.0.0.1:5000 > 10.0.0.2:80", as the member sees it; "" where it is no connection's
  MemberId member;
  std::string expected;
  std::string found;
  auto operator<=>(const ConnectionDifference&) const = default;
  static auto fields(auto& self) { return std::tie(self.connection, self.member, self.expected, self.found); }
};

}  // namespace lockstep
