/// Which ends, among those of all members of a round, belong to one connection. Pure; work grows with n log n.
#pragma once

#include <cstddef>
#include <vector>

#include "cli/images/tcp_streams.hpp"
#include "common/ids.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::images {

/// One member's ends and where they were. A pod that is not known counts as one that nobody shares.
struct MemberEnds {
  std::vector<TcpEnd> ends;
  PodId pod;
  std::vector<InterfaceAddress> addresses;  ///< the pod's
};

/// An end: the member's index, and the end's among its own.
struct EndRef {
  std::size_t member = 0;
  std::size_t index = 0;
  auto operator<=>(const EndRef&) const = default;
};

/// An internal connection.
struct EndPair {
  EndRef a;
  EndRef b;
  bool translated = false;  ///< the addresses don't mirror: one end sees the other's through destination NAT
};

/// Every end is in exactly one of these.
struct Pairing {
  std::vector<EndPair> internal;
  std::vector<EndRef> external;   ///< the other end is in no member's images
  std::vector<EndRef> ambiguous;  ///< there are several possible other ends
  std::vector<EndRef> opening;    ///< SYN_SENT, and nobody's other end: no connection yet
  std::vector<EndRef> closed;     ///< CLOSE, and nobody's other end: a connection no more
};

/// Ends are matched in this order: mirrored addresses of ends that live; mirrored addresses where one of them is
/// already closed; and the client's address and port as the server sees them, behind a destination NAT. The latter two
/// also ask whether the numbers can be those of one connection. Where several ends qualify, the one whose numbers fit
/// is taken, if it is one. Loopback addresses, and those of the end's own pod, only match inside the pod.
[[nodiscard]] Pairing pair_ends(const std::vector<MemberEnds>& members);

}  // namespace lockstep::images
