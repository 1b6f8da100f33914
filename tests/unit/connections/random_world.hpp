/// Random pods with connections of which is known what they are, for the property tests.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <vector>

#include "broker/core/connection_matching.hpp"

namespace lockstep::broker::testing {

/// One thing that happens in a random world.
enum class Event {
  direct_v4,
  direct_v6,
  own_address,
  loopback,  // both ends are members'
  service,
  service_with_conntrack,
  service_port_reused,  // and the client's port has another connection, to outside
  outgoing,
  incoming,
  service_to_outside,  // one end is a member's
  masqueraded,
  masqueraded_unheard,  // both are, but the server sees the node's address
  missing_end,
  not_accepted,
  foreign_owner,
};
inline constexpr int kEvents = static_cast<int>(Event::foreign_owner) + 1;

/// What the labels have to say of one socket.
struct Truth {
  ConnectionLabel label = ConnectionLabel::external;
  SocketRef peer{};
  bool never_internal_only = false;  ///< any label that is not internal will do
};

/// Members with their tables, and parallel to these what is true of each socket.
struct World {
  struct Member {
    PodId pod;
    SocketTable sockets;
    std::vector<InterfaceAddress> addresses;
    std::vector<Truth> truth;
  };
  std::vector<Member> members;
  std::vector<NatEntry> nat;

  [[nodiscard]] std::vector<MemberSockets> views() const;
};

[[nodiscard]] rc::Gen<World> random_world();

}  // namespace lockstep::broker::testing
