/// A netlink socket of libnl, owned, and bound to the namespace in which it was opened.
#pragma once

#include <netlink/netlink.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep {

/// Move-only owner of an nl_sock. The kernel ties a netlink socket to the namespace it was made in, for good: keep
/// one for each pod. (Closing one after a deletion waits for an RCU grace period, 12 ms and more; keeping it costs
/// nothing.)
class NetlinkSocket {
 public:
  /// Opens a socket of `protocol` (NETLINK_NETFILTER, NETLINK_SOCK_DIAG, …) inside `netns`. Waiting on it is bounded.
  [[nodiscard]] static Result<NetlinkSocket> open(const Fd& netns, int protocol);
  [[nodiscard]] nl_sock* get() const { return socket_.get(); }

  /// The next of the sequence numbers that tie a reply to its request.
  [[nodiscard]] std::uint32_t next_sequence() { return nl_socket_use_seq(socket_.get()); }
  /// Sends one datagram to the kernel.
  [[nodiscard]] Result<void> send(std::string_view datagram);
  /// Waits for one datagram of the kernel's; the view is of `buffer`. `timeout` after 5 s; one that does not fit is an
  /// error.
  [[nodiscard]] Result<std::string_view> receive(std::span<char> buffer);
  /// Throws away what an earlier, failed exchange has left unread (for a dump: all that is still to come).
  void drain();

 private:
  struct Free {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };
  explicit NetlinkSocket(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Free> socket_;
};

/// Turns libnl's negative error code into an Error.
[[nodiscard]] Failure fail_netlink(int code, std::string operation, std::string detail = {});

}  // namespace lockstep
