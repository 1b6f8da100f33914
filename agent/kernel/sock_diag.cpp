#include "agent/kernel/sock_diag.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "agent/kernel/inet_diag_reply.hpp"
#include "common/netlink_reader.hpp"

namespace lockstep {
namespace {

constexpr int kDumpAttempts = 4;
/// The kernel fills at most 32 KiB in one go, however large the buffer.
constexpr std::size_t kBufferSize = 32 * 1024;
/// TcpState's values. Not ~0: from 6.8 on that would also list sockets that are bound and nothing else.
constexpr std::uint32_t kAllStates = (2U << static_cast<unsigned>(TcpState::new_syn_recv)) - 2;

template <class Body>
struct Request {
  nlmsghdr header{};
  Body body{};
  [[nodiscard]] std::string_view bytes() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
};

template <class Body>
Request<Body> make_request(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence) {
  Request<Body> request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.header.nlmsg_seq = sequence;
  return request;
}

/// The address as the kernel keeps it: v4-mapped for an IPv6 socket with IPv4 end points.
void put_address(const Endpoint& endpoint, bool v6_socket, __be32 (&address)[4]) {
  if (endpoint.family == IpFamily::v6) {
    std::memcpy(address, endpoint.address.data(), sizeof address);
  } else if (v6_socket) {
    address[2] = htonl(0xffff);
    std::memcpy(&address[3], endpoint.address.data(), sizeof address[3]);
  } else {
    std::memcpy(address, endpoint.address.data(), sizeof address[0]);
  }
}

/// One whole dump, appended to `table`. False when the kernel says that it has to be made again.
///
/// It is asked for in the older form (TCPDIAG_GETSOCK): only that one dumps both address families in one go
/// (net/ipv4/inet_diag.c, inet_diag_dump_compat). The kernel walks the hash table of the whole machine for each dump,
/// a quarter of a millisecond where it is empty, while tasks are frozen.
Result<bool> dump_once(NetlinkSocket& socket, std::span<char> buffer, const InodeSet* wanted, SocketTable& table) {
  socket.drain();
  auto request = make_request<inet_diag_req>(TCPDIAG_GETSOCK, NLM_F_DUMP, socket.next_sequence());
  request.body.idiag_states = kAllStates;
  request.body.idiag_ext = 1U << (INET_DIAG_INFO - 1);
  if (auto sent = socket.send(request.bytes()); !sent) return Failure(sent.error());
  bool consistent = true;
  while (true) {
    auto datagram = socket.receive(buffer);
    if (!datagram) return Failure(datagram.error());
    auto progress = parse_inet_diag(*datagram, request.header.nlmsg_seq, wanted, table);
    if (!progress) return Failure(progress.error());
    if (progress->interrupted) consistent = false;
    if (progress->done) return consistent;
  }
}

Result<SocketTable> dump(NetlinkSocket& socket, const InodeSet* wanted, std::size_t expected) {
  const std::string operation = "dump TCP sockets";
  SocketTable table;
  table.reserve(expected);
  std::vector<char> buffer(kBufferSize);
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    table.clear();
    auto consistent = dump_once(socket, buffer, wanted, table);
    if (!consistent) {
      auto failure = fail_from(consistent.error(), operation);
      if (consistent.error().sys_errno == ENOENT)
        failure.value().detail = "the kernel has no inet_diag (modprobe tcp_diag)";
      return failure;
    }
    if (*consistent) return table;
  }
  return fail(ErrorCode::unavailable, operation, "the table changed under every attempt");
}

}  // namespace

Result<SockDiag> SockDiag::create(const Fd& netns) {
  auto socket = NetlinkSocket::open(netns, NETLINK_SOCK_DIAG);
  if (!socket) return fail_from(socket.error(), "sock_diag");
  return SockDiag(std::move(*socket));
}

Result<SocketTable> SockDiag::tcp_sockets() {
  auto table = dump(socket_, nullptr, last_count_);
  if (table) last_count_ = table->size() + table->size() / 8;
  return table;
}

Result<SocketTable> SockDiag::tcp_sockets_of(const std::unordered_set<std::uint64_t>& inodes) {
  return dump(socket_, &inodes, inodes.size());
}

Result<void> SockDiag::destroy(const Socket& socket) {
  socket_.drain();
  auto request = make_request<inet_diag_req_v2>(SOCK_DESTROY, NLM_F_ACK, socket_.next_sequence());
  request.body.sdiag_family = socket.v6_socket ? AF_INET6 : AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  inet_diag_sockid& id = request.body.id;
  id.idiag_sport = htons(socket.local.port);
  id.idiag_dport = htons(socket.remote.port);
  put_address(socket.local, socket.v6_socket, id.idiag_src);
  put_address(socket.remote, socket.v6_socket, id.idiag_dst);
  id.idiag_if = socket.interface_index;  // link-local addresses mean nothing without
  id.idiag_cookie[0] = static_cast<std::uint32_t>(socket.cookie);
  id.idiag_cookie[1] = static_cast<std::uint32_t>(socket.cookie >> 32);
  if (auto sent = socket_.send(request.bytes()); !sent) return fail_from(sent.error(), "SOCK_DESTROY");

  std::array<char, 1024> buffer;
  while (true) {
    auto datagram = socket_.receive(buffer);
    if (!datagram) return fail_from(datagram.error(), "SOCK_DESTROY");
    while (const auto message = next_message(*datagram)) {
      if (message->header.nlmsg_type != NLMSG_ERROR || message->header.nlmsg_seq != request.header.nlmsg_seq) continue;
      const auto ack = parse_ack(*message);
      if (!ack) return fail(ErrorCode::invalid, "SOCK_DESTROY", "malformed answer of the kernel");
      if (ack->sys_errno == 0) return {};
      const bool gone = ack->sys_errno == ENOENT || ack->sys_errno == ESTALE;
      std::string detail = ack->text;
      if (ack->sys_errno == EOPNOTSUPP) detail = "the kernel is built without CONFIG_INET_DIAG_DESTROY";
      return Failure(Error{gone ? ErrorCode::not_found : ErrorCode::system, ack->sys_errno, "SOCK_DESTROY", detail});
    }
  }
}

}  // namespace lockstep
