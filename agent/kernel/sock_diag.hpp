/// A namespace's TCP sockets, read through the kernel's sock_diag (inet_diag) interface.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "common/fd.hpp"
#include "common/netlink.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Holds a sock_diag netlink socket that was opened inside one namespace; usable from any namespace afterwards.
/// Linear in the number of sockets. Not thread-safe.
class SockDiag {
 public:
  [[nodiscard]] static Result<SockDiag> create(const Fd& netns);

  /// All TCP sockets, IPv4 and IPv6, of all states, v4-mapped addresses as IPv4 (schemas/socket_table.hpp).
  [[nodiscard]] Result<SocketTable> tcp_sockets();
  /// Those of them whose inode is in `inodes`. (Sockets with inode 0, which nobody has accepted yet, are never among them.)
  [[nodiscard]] Result<SocketTable> tcp_sockets_of(const std::unordered_set<std::uint64_t>& inodes);
  /// Closes one connection as if its peer had reset it; the application gets ECONNABORTED. not_found when it is gone.
  [[nodiscard]] Result<void> destroy(const Socket& socket);

 private:
  explicit SockDiag(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
  std::size_t last_count_ = 0;  ///< of tcp_sockets(): the next one's room is made at once, growing it costs some percent
};

}  // namespace lockstep
