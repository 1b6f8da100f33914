#include "agent/kernel/inet_diag_reply.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "common/netlink_reader.hpp"

namespace lockstep {
namespace {

constexpr const char* kOperation = "read inet_diag reply";
constexpr std::size_t kMappedPrefix = 12;  ///< ::ffff:0:0/96, the bytes in front of a v4-mapped address

Failure malformed(const char* what) { return fail(ErrorCode::invalid, kOperation, what); }

bool is_v4_mapped(const __be32 (&address)[4]) {
  return address[0] == 0 && address[1] == 0 && address[2] == htonl(0xffff);
}

Endpoint endpoint(const __be32 (&address)[4], __be16 port, IpFamily family, std::size_t skip) {
  Endpoint result;
  result.family = family;
  result.port = ntohs(port);
  const std::size_t length = family == IpFamily::v4 ? 4 : 16;
  std::memcpy(result.address.data(), reinterpret_cast<const char*>(address) + skip, length);
  return result;
}

void set_endpoints(const inet_diag_msg& entry, Socket& socket) {
  // A mapped socket that listens has `::` for a peer: one mapped end makes both IPv4.
  const bool mapped = socket.v6_socket && (is_v4_mapped(entry.id.idiag_src) || is_v4_mapped(entry.id.idiag_dst));
  const IpFamily family = socket.v6_socket && !mapped ? IpFamily::v6 : IpFamily::v4;
  const std::size_t skip = mapped ? kMappedPrefix : 0;
  socket.local = endpoint(entry.id.idiag_src, entry.id.idiag_sport, family, skip);
  socket.remote = endpoint(entry.id.idiag_dst, entry.id.idiag_dport, family, skip);
}

/// A counter of tcp_info, which grows with each kernel: 0 where this one's does not reach so far.
std::uint64_t counter_at(std::string_view tcp_info_bytes, std::size_t offset) {
  if (tcp_info_bytes.size() < offset) return 0;
  return read_front<std::uint64_t>(tcp_info_bytes.substr(offset)).value_or(0);
}

Result<void> read_attributes(std::string_view attributes, Socket& socket) {
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type != INET_DIAG_INFO) continue;
    socket.bytes_acked = counter_at(attribute->payload, offsetof(tcp_info, tcpi_bytes_acked));
    socket.bytes_received = counter_at(attribute->payload, offsetof(tcp_info, tcpi_bytes_received));
  }
  if (!attributes.empty()) return malformed("attribute reaches past its message");
  return {};
}

Result<void> read_entry(std::string_view payload, const InodeSet* wanted, SocketTable& table) {
  const auto entry = read_front<inet_diag_msg>(payload);
  if (!entry) return malformed("entry is too short");
  if (entry->idiag_family != AF_INET && entry->idiag_family != AF_INET6) return malformed("unknown address family");
  if (entry->idiag_state < static_cast<unsigned>(TcpState::established) ||
      entry->idiag_state > static_cast<unsigned>(TcpState::new_syn_recv))
    return malformed("unknown TCP state");
  if (wanted != nullptr && (entry->idiag_inode == 0 || !wanted->contains(entry->idiag_inode))) return {};
  Socket& socket = table.emplace_back();  // filled in place: at 200,000 sockets a copy of each shows
  socket.v6_socket = entry->idiag_family == AF_INET6;
  set_endpoints(*entry, socket);
  socket.state = static_cast<TcpState>(entry->idiag_state);
  socket.inode = entry->idiag_inode;
  socket.interface_index = entry->id.idiag_if;
  socket.cookie = std::uint64_t{entry->id.idiag_cookie[1]} << 32 | entry->id.idiag_cookie[0];
  socket.receive_queue = entry->idiag_rqueue;
  socket.send_queue = entry->idiag_wqueue;
  socket.uid = entry->idiag_uid;
  // NLMSG_ALIGN: the attributes start at the next multiple of four.
  const std::size_t head = NLMSG_ALIGN(sizeof(inet_diag_msg));
  return read_attributes(payload.substr(std::min(head, payload.size())), socket);
}

/// NLMSG_DONE carries the dump's outcome as one int; NLMSG_ERROR an nlmsgerr. Both start with a negative errno.
Result<void> read_outcome(const NetlinkMessage& message) {
  if (message.header.nlmsg_type == NLMSG_DONE) {
    const auto outcome = read_front<std::int32_t>(message.payload);
    if (!outcome || *outcome >= 0) return {};
    return Failure(Error{ErrorCode::system, *outcome > -4096 ? -*outcome : EPROTO, kOperation, "the dump broke off"});
  }
  const auto ack = parse_ack(message);
  if (!ack) return malformed("error is too short");
  return Failure(Error{ErrorCode::system, ack->sys_errno, kOperation, ack->text});
}

}  // namespace

Result<DumpProgress> parse_inet_diag(std::string_view datagram, std::uint32_t sequence, const InodeSet* wanted,
                                     SocketTable& table) {
  DumpProgress progress;
  while (const auto message = next_message(datagram)) {
    if (message->header.nlmsg_seq != sequence) continue;
    if ((message->header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) progress.interrupted = true;
    switch (message->header.nlmsg_type) {
      case NLMSG_NOOP: break;
      case NLMSG_OVERRUN: return malformed("the kernel lost data (overrun)");
      case NLMSG_ERROR:
      case NLMSG_DONE:
        if (auto outcome = read_outcome(*message); !outcome) return Failure(outcome.error());
        progress.done = true;
        return progress;
      case SOCK_DIAG_BY_FAMILY:
      case TCPDIAG_GETSOCK:  // the same entries, as asked for in the older form
        if (auto entry = read_entry(message->payload, wanted, table); !entry) return Failure(entry.error());
        break;
      default: return malformed("unknown message type");
    }
  }
  if (!datagram.empty()) return malformed("message reaches past its datagram");
  return progress;
}

}  // namespace lockstep
