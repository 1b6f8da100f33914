/// A pod's addresses, read through rtnetlink (libnl-route).
#pragma once

#include <utility>
#include <vector>

#include "common/fd.hpp"
#include "common/netlink.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Holds a route socket that was opened inside one namespace; usable from any namespace afterwards. It is read while
/// tasks are frozen, when making a socket would cost more than the reading. Not thread-safe.
class AddressReader {
 public:
  [[nodiscard]] static Result<AddressReader> create(const Fd& netns);
  /// Every IPv4 and IPv6 address of every interface of the namespace, loopback and link-local included, sorted.
  [[nodiscard]] Result<std::vector<InterfaceAddress>> read();

 private:
  explicit AddressReader(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace lockstep
