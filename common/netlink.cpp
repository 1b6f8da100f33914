#include "common/netlink.hpp"

#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

#include "common/netns.hpp"

namespace lockstep {
namespace {

/// The kernel answers within the send call; a wait this long means that the answer was lost.
constexpr timeval kReceiveTimeout{.tv_sec = 5, .tv_usec = 0};

Result<Fd> open_descriptor(int protocol) {
  const std::string what = "netlink socket of protocol " + std::to_string(protocol);
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno("open " + what);
  // Port 0: the kernel chooses one. libnl's own choice ends at 1024 sockets a process, that is 512 pods.
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) < 0) return fail_errno("bind " + what);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout) < 0)
    return fail_errno("setsockopt SO_RCVTIMEO on " + what);
  // Short acknowledgements, with the kernel's own words. Old kernels know neither and work without.
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return fd;
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open(const Fd& netns, int protocol) {
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_from(scope.error(), "open netlink socket");
  auto fd = open_descriptor(protocol);
  if (!fd) return Failure(fd.error());
  NetlinkSocket socket(nl_socket_alloc());
  if (socket.get() == nullptr) return fail_netlink(-NLE_NOMEM, "nl_socket_alloc");
  if (const int error = nl_socket_set_fd(socket.get(), protocol, fd->get()); error < 0)
    return fail_netlink(error, "nl_socket_set_fd");
  (void)fd->release();  // the nl_sock closes it from here on
  return socket;
}

Result<void> NetlinkSocket::send(std::string_view datagram) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = ::sendto(nl_socket_get_fd(get()), datagram.data(), datagram.size(), 0,
                                reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return fail_errno("send " + std::to_string(datagram.size()) + " bytes to netlink");
  return {};
}

Result<std::string_view> NetlinkSocket::receive(std::span<char> buffer) {
  while (true) {
    sockaddr_nl sender{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t length = ::recvmsg(nl_socket_get_fd(get()), &message, 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return fail(ErrorCode::timeout, "receive from netlink", "no answer of the kernel");
    if (length < 0) return fail_errno("receive from netlink");
    if (length == 0) return fail(ErrorCode::system, "receive from netlink", "end of file");
    if (sender.nl_pid != 0) continue;  // any privileged process may write to our port; only the kernel has port 0
    if ((message.msg_flags & MSG_TRUNC) != 0)
      return fail(ErrorCode::invalid, "receive from netlink", "reply does not fit in " + std::to_string(buffer.size()));
    return std::string_view(buffer.data(), static_cast<std::size_t>(length));
  }
}

void NetlinkSocket::drain() {
  std::array<char, 1> rest;
  // ENOBUFS only tells that something was lost: more may follow. Everything else ends the queue.
  while (::recv(nl_socket_get_fd(get()), rest.data(), rest.size(), MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR ||
         errno == ENOBUFS) {
  }
}

Failure fail_netlink(int code, std::string operation, std::string detail) {
  const std::string text = nl_geterror(code);
  return fail(ErrorCode::system, std::move(operation), detail.empty() ? text : text + " (" + detail + ")");
}

}  // namespace lockstep
