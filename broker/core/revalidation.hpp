/// Compares what a restore has brought back with what was saved, before the restore is committed. Pure.
///
/// Saved: the members' records (the table read at network-lock, its labels). Found: the same members' tables, read at
/// post-restore after the connections that are to be closed have been destroyed; nothing runs, every pod is locked, and
/// all sockets are in repair mode.
///
/// What a restored socket looks like then (tried, CRIU 4.2.1 on 6.18; idle connections, with unread data, with a full
/// send queue, and in each state below; IPv4, IPv6 and v4-mapped):
/// - The state is the one of network-lock for ESTABLISHED, SYN-SENT, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, LAST-ACK,
///   CLOSING. TIME-WAIT entries belong to no process (inode 0) and do not come back.
/// - send_queue is equal to the byte, with 1 for a FIN or SYN that has not been acknowledged.
/// - receive_queue is equal to the byte, with 1 for a FIN that has not been read. A FIN that *has* been read comes back
///   unread: 0 becomes 1, and the application reads its end of file again.
/// - bytes_acked starts at 0 (1 where the own FIN has been acknowledged), bytes_received at the length of the receive
///   queue: the counts say nothing about the time before. Inode and cookie are new.
/// - A listener has its backlog's limit; its accept queue is empty (--skip-in-flight leaves it out of the images).
///
/// The states allowed:
///   saved         found                     why
///   any           the same
///   FIN-WAIT-1    FIN-WAIT-2                an ACK that had passed the lock was processed after the table was read and
///   LAST-ACK      absent                    before CRIU read the socket; it acknowledges a FIN, no byte is lost
///   CLOSING       absent
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "schemas/connection_report.hpp"
#include "schemas/connections.hpp"

namespace lockstep::broker {

/// One member as its record has it. `labels` is parallel to `sockets`; the peers in it are places in the list of
/// members that revalidate() gets. `policy` is resolved (schemas/connections.hpp).
struct SavedMember {
  MemberId id;
  std::span<const Socket> sockets;
  std::span<const SocketLabel> labels;
  ConnectionPolicy policy;
};

/// The same member after the restore: the sockets its processes hold, the addresses of its (new) pod.
struct FoundMember {
  std::span<const Socket> sockets;
  std::span<const InterfaceAddress> addresses;  ///< none: not known, not compared
};

/// "member web: 10.0.0.1:5000 > 10.0.0.2:80: expected established, found no socket".
[[nodiscard]] std::string difference_text(const ConnectionDifference& difference);

/// All differences, by member in the order given; none where everything fits. Checked:
/// - each connection that is to come back is there, in an allowed state, with the queues it had; each listener too
/// - each that is to be closed is gone, and there is no socket that was not saved
/// - the other end of an internal connection is a member's, and names this one as its peer
/// - the addresses of connections that come back are addresses of the new pod
/// The two ends' byte counts are not compared: in a connection that had been restored before, what was under way at that
/// time counts as acknowledged at the one end (it is sent again) and not as received at the other (which had it). That
/// the saved ends fit is proved by their sequence numbers, when they are dumped (cli/verify_images.hpp).
/// `saved` and `found` are parallel. Linear in the number of sockets.
[[nodiscard]] std::vector<ConnectionDifference> revalidate(std::span<const SavedMember> saved,
                                                 std::span<const FoundMember> found);

}  // namespace lockstep::broker
