/// Whether the byte counts of two sockets allow them to be the two ends of one connection.
///
/// What the kernel counts (tried, 6.18): a FIN counts one in the sender's bytes_acked and in the receiver's
/// bytes_received and receive_queue, a SYN one in the bytes_acked of the end that connected, an unacknowledged FIN or
/// SYN one in send_queue. A restore (CRIU 4.2.1) starts the counts anew: bytes_acked at 0, or 1 where the own FIN has
/// been acknowledged, bytes_received at the length of the receive queue. So the counts of a restored connection tell
/// less: with data unread at the restore they fit no more.
#pragma once

#include "schemas/socket_table.hpp"

namespace lockstep::broker {

/// What `sender` knows to have arrived has arrived, and no more than it has sent. `syn`: 1 where it may have connected.
[[nodiscard]] inline bool counts_fit_one_way(const Socket& sender, const Socket& receiver, std::uint64_t syn) {
  const std::uint64_t least = sender.bytes_acked > syn ? sender.bytes_acked - syn : 0;
  return receiver.bytes_received >= least && receiver.bytes_received <= sender.bytes_acked + sender.send_queue;
}

/// Both directions fit, whichever end connected.
[[nodiscard]] inline bool counts_fit(const Socket& a, const Socket& b) {
  return (counts_fit_one_way(a, b, 1) && counts_fit_one_way(b, a, 0)) ||
         (counts_fit_one_way(a, b, 0) && counts_fit_one_way(b, a, 1));
}

/// Both directions fit, if `client` is the one that connected.
[[nodiscard]] inline bool counts_fit_service(const Socket& client, const Socket& server) {
  return counts_fit_one_way(client, server, 1) && counts_fit_one_way(server, client, 0);
}

/// Something has been received. Counts that are all zero fit anything, and so prove nothing.
[[nodiscard]] inline bool counts_say_anything(const Socket& a, const Socket& b) {
  return a.bytes_received != 0 || b.bytes_received != 0;
}

/// The counts show the client's SYN: with nothing under way its bytes_acked is one more than what the server received.
[[nodiscard]] inline bool counts_show_client(const Socket& client, const Socket& server) {
  return client.send_queue == 0 && server.send_queue == 0 && client.bytes_acked == server.bytes_received + 1 &&
         server.bytes_acked == client.bytes_received;
}

}  // namespace lockstep::broker
