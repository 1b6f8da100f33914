/// What connection tracking (conntrack) of a namespace translates.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "agent/kernel/conntrack_message.hpp"
#include "common/fd.hpp"
#include "common/netlink.hpp"
#include "common/result.hpp"
#include "schemas/connections.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// The table's connections as their sockets send: those that a process holds and that have another end.
[[nodiscard]] std::vector<Flow> flows_of(const SocketTable& sockets);

/// The same connections as they look on the outer side of the pod: translated where one of `entries` does that. Those
/// over the loopback, which have no outer side, are left out.
[[nodiscard]] std::vector<Flow> flows_outside(std::span<const Flow> flows, std::span<const NatEntry> entries);

/// Holds what has to be opened inside the namespace; usable from any namespace afterwards. Not thread-safe.
///
/// Looks every connection up by itself, in the default zone. That takes some 4 µs for each. A dump of the table begins
/// at 9 ms, because the kernel walks the hash table of the whole machine, and takes 2 µs for each entry: it is made
/// where that is less, for some thousand connections and more.
class NatReader {
 public:
  /// A kernel without nfnetlink gives a reader that finds nothing.
  [[nodiscard]] static Result<NatReader> create(const Fd& netns);
  /// To be called now and then: connection tracking may have come to the kernel since. Cheap when there is nothing to
  /// do.
  void refresh(const Fd& netns);
  /// The translating entries of these connections. Asks the kernel nothing, and so loads no module, where nothing is
  /// tracked.
  [[nodiscard]] Result<std::vector<NatEntry>> read(std::span<const Flow> flows);

 private:
  explicit NatReader(std::optional<NetlinkSocket> socket) : socket_(std::move(socket)) {}
  /// The number of entries of the namespace.
  [[nodiscard]] std::size_t tracked() const;
  [[nodiscard]] Result<void> look_up(std::span<const Flow> flows, std::vector<NatEntry>& entries);
  [[nodiscard]] Result<void> dump(std::span<const Flow> flows, std::vector<NatEntry>& entries);

  std::optional<NetlinkSocket> socket_;
  Fd count_;  ///< nf_conntrack_count of the namespace; none: nothing tracks there
};

}  // namespace lockstep
