/// Tells for each socket of each member of a round what it is: connected with another member, with somebody else, …
/// Pure.
///
/// The tables were read while every pod of the round was locked and every task frozen, each under its own lock: what
/// one end had sent when its pod was locked may still have reached the other; nothing after that.
///
/// What a socket becomes, the first that fits:
///   listening         state LISTEN
///   half_open         handshake under way (SYN-SENT, SYN-RECV), or established with inode 0: not accepted yet
///   finished          TIME-WAIT, CLOSE; closed by its process (inode 0 in FIN-WAIT, CLOSE-WAIT, CLOSING, LAST-ACK)
/// What remains is held by a process and connected: ESTABLISHED, FIN-WAIT-1 and -2, CLOSE-WAIT, CLOSING, LAST-ACK.
///   internal          one such socket of a member has the mirrored end points: in the same pod; or in another pod, if
///                     both pods own their end's address and no other pair of pods comes into question. Loopback
///                     addresses match inside one pod only.
///   half_open         the mirrored socket is half open: the server has not accepted yet
///   internal_service  a server sees this socket's own address and port, or the other way round, but the client
///                     connected to an address that is not the server's (destination NAT); proved by conntrack, or by
///                     byte counts that fit, where a listener or the count of the SYN shows who is the server
///   ambiguous         see Doubt
///   orphaned          the peer's FIN has come (CLOSE-WAIT, LAST-ACK, CLOSING), its address is a pod's of the round,
///                     its socket is gone: every byte it sent is here, so the socket can come back without it
///   external          everything else
///
/// An end is internal only if the other is, and names it as its peer. The result does not depend on the order of
/// members and sockets. Where addresses repeat, what cannot be told is ambiguous. A client behind source NAT is never
/// internal: the server does not see its address.
///
/// Limits. The zone of link-local addresses is not in the tables: a fe80:: address is owned by every pod that has it.
/// Two pods in separate networks that use the same addresses may have connections outside the round whose tuples mirror
/// by chance, down to the ports; nothing in the tables can tell that. Byte counts start anew with a restore, each at
/// its queue's length: a service connection with unread data then is ambiguous in later rounds, unless conntrack tells.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "broker/core/connection_index.hpp"
#include "schemas/connections.hpp"

namespace lockstep::broker {

struct SocketRef {
  std::uint32_t member = 0;    ///< place in the input
  std::uint32_t position = 0;  ///< in the member's table
  auto operator<=>(const SocketRef&) const = default;
};

/// An internal connection. `client` is the end that connected, where a listener or NAT tells; else the lesser one.
struct ConnectionPair {
  SocketRef client;
  SocketRef server;                                   ///< the same as client for a socket that is connected with itself
  ConnectionLabel label = ConnectionLabel::internal;  ///< internal or internal_service
};

struct Matching {
  std::vector<SocketLabels> labels;   ///< parallel to the members, each parallel to its table
  std::vector<ConnectionPair> pairs;  ///< each internal connection once, in the order of the first of its ends
};

/// `nat`: the pods' and nodes' conntrack entries, as far as they can be read; untranslated ones and repeated ones do no
/// harm. A connection that is translated in several places is followed from one to the next.
[[nodiscard]] Matching match_connections(std::span<const MemberSockets> members, std::span<const NatEntry> nat = {});

}  // namespace lockstep::broker
