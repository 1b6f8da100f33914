/// Which sockets of a pod would be in the way of others that are to be restored there. Pure.
#pragma once

#include <vector>

#include "schemas/socket_table.hpp"

namespace lockstep {

/// A wanted socket, and the one that has its port or its end points.
struct SocketConflict {
  Socket wanted;
  Socket holder;
  bool operator==(const SocketConflict&) const = default;
};

struct RestoreConflicts {
  SocketTable leftovers;              ///< nobody's any more: may be destroyed
  std::vector<SocketConflict> taken;  ///< at most one for each wanted socket
  std::vector<Endpoint> missing;      ///< local addresses (port 0) that the pod does not have; each once
};

/// `present` and `have` are the pod's sockets and addresses. Linear, but for maps; a wanted
/// listener looks at all sockets of its port.
///
/// A wanted connection needs its end points free, whoever listens on or is connected from its port: CRIU binds it in
/// repair mode. A wanted listener needs its port free of listeners, and, as it is bound like any other, of connections
/// and their remains too, on the same address or where one of the two has none.
[[nodiscard]] RestoreConflicts restore_conflicts(const SocketTable& wanted, const SocketTable& present,
                                                 const std::vector<InterfaceAddress>& have);

}  // namespace lockstep
