/// Whether the two ends of a TCP connection, saved at what should be one instant, fit.
///
/// In every consistent cut, for each direction and modulo 2^32:
///
///     what the sender knows to be acknowledged <= what the receiver has received <= what the sender has sent
///
/// The left one breaks when the receiver was saved too early: bytes that it got since are gone from the sender's queue
/// and in nobody's image. The right one breaks when the sender was saved too early: it would write anew, under the same
/// numbers, what the receiver has already read. The end of a stream (FIN) must fit likewise. An idle connection fits
/// whenever it is saved, and rightly so: nothing of it is lost.
///
/// Pure: no file, no clock.
#pragma once

#include <cstdint>
#include <string>

#include "cli/images/tcp_streams.hpp"

namespace lockstep::images {

/// One direction. Sequence numbers are those of bytes: the number that a FIN takes is left out on both sides.
struct Flow {
  std::uint32_t acknowledged = 0;  ///< the sender's: the first byte not known to have arrived
  std::uint32_t sent = 0;          ///< the sender's: the first byte that has never been sent
  std::uint32_t received = 0;      ///< the receiver's: the first byte that has not arrived
  std::uint32_t in_flight = 0;     ///< bytes sent and not received: lost on the wire, and sent again after a restore
  std::uint32_t unsent = 0;        ///< bytes in the sender's queue behind those
  std::uint32_t unread = 0;        ///< bytes in the receiver's queue
  /// 0 in a consistent cut; positive: bytes received that were never sent; negative: bytes missing at the receiver
  /// that the sender takes for delivered.
  std::int32_t gap = 0;
  std::string misfit;  ///< why it does not fit; empty when it does
};

struct ConnectionCheck {
  Flow forth;          ///< a to b
  Flow back;           ///< b to a
  std::string misfit;  ///< of the ends' states; empty when they can go together
  [[nodiscard]] bool fits() const { return misfit.empty() && forth.misfit.empty() && back.misfit.empty(); }
};

[[nodiscard]] Flow check_flow(const TcpEnd& sender, const TcpEnd& receiver);
[[nodiscard]] ConnectionCheck check_connection(const TcpEnd& a, const TcpEnd& b);

/// Whether two ends whose addresses alone don't prove it can belong to one connection: their numbers are at most 256
/// MiB apart. Initial sequence numbers are random, so two strangers pass one time in 64.
[[nodiscard]] bool can_be_one_connection(const TcpEnd& a, const TcpEnd& b);

}  // namespace lockstep::images
