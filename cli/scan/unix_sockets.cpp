#include "cli/scan/unix_sockets.hpp"

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <vector>

#include "common/netlink.hpp"
#include "common/netlink_reader.hpp"

namespace lockstep::cli {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

std::string name_of(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (bytes.front() == '\0') return "@" + std::string(bytes.substr(1));
  return std::string(bytes.substr(0, bytes.find('\0')));
}

void take_socket(std::string_view payload, UnixSockets& sockets) {
  const auto header = read_front<unix_diag_msg>(payload);
  if (!header) return;
  UnixSocket& socket = sockets[header->udiag_ino];
  std::string_view attributes = payload.substr(NLMSG_ALIGN(sizeof(unix_diag_msg)));
  while (const auto attribute = next_attribute(attributes)) {
    if (attribute->type == UNIX_DIAG_NAME) socket.name = name_of(attribute->payload);
    if (attribute->type == UNIX_DIAG_PEER) socket.peer = read_front<std::uint32_t>(attribute->payload).value_or(0);
    if (attribute->type != UNIX_DIAG_ICONS) continue;
    // Clients whose other end nobody holds yet: it belongs to this listener.
    for (std::string_view rest = attribute->payload; rest.size() >= 4; rest.remove_prefix(4)) {
      if (const auto client = read_front<std::uint32_t>(rest)) sockets[*client].peer = header->udiag_ino;
    }
  }
}

}  // namespace

Result<bool> take_unix_sockets(std::string_view datagram, UnixSockets& sockets) {
  while (const auto message = next_message(datagram)) {
    if (message->header.nlmsg_type == NLMSG_DONE) return false;
    if (message->header.nlmsg_type == NLMSG_ERROR) {
      const auto ack = parse_ack(*message);
      return fail(ErrorCode::system, "read unix sockets", "errno " + std::to_string(ack ? ack->sys_errno : 0));
    }
    if (message->header.nlmsg_type == SOCK_DIAG_BY_FAMILY) take_socket(message->payload, sockets);
  }
  return true;
}

Result<void> read_unix_sockets(const Fd& netns, UnixSockets& sockets) {
  auto netlink = NetlinkSocket::open(netns, NETLINK_SOCK_DIAG);
  if (!netlink) return Failure(netlink.error());
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } ask{};
  ask.header.nlmsg_len = sizeof ask;
  ask.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.header.nlmsg_seq = netlink->next_sequence();
  ask.request.sdiag_family = AF_UNIX;
  ask.request.udiag_states = ~0U;
  ask.request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS;
  if (auto sent = netlink->send({reinterpret_cast<const char*>(&ask), sizeof ask}); !sent) return sent;
  std::vector<char> buffer(kBuffer);
  for (bool more = true; more;) {
    const auto datagram = netlink->receive(buffer);
    if (!datagram) return Failure(datagram.error());
    const auto taken = take_unix_sockets(*datagram, sockets);
    if (!taken) return Failure(taken.error());
    more = *taken;
  }
  return {};
}

}  // namespace lockstep::cli
