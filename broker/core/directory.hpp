/// Who is there: the peers that said Hello, the pods they own, and when each was last heard. Pure; one thread.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/outbox.hpp"
#include "broker/core/permissions.hpp"
#include "common/clock.hpp"

namespace lockstep::broker {

struct Peer {
  PeerId id;
  Hello hello;
  TimePoint last_heard;
  Identity who{};  ///< behind its connection when it said Hello
};

class Directory {
 public:
  /// Enters a peer, or replaces what it said before. A pod that two agents claim belongs to the newer claim: an agent
  /// that was restarted must not have to wait until its former self counts as silent.
  void enter(const PeerId& id, Hello hello, TimePoint now, Identity who = {});
  void remove(const PeerId& id);
  /// Makes room: drops the client that has been silent longest, which will be told to say Hello should it come back.
  /// False when there is no client.
  bool forget_quietest_client();
  /// Notes a sign of life; false when the peer has never said Hello (or not to this broker).
  [[nodiscard]] bool heard(const PeerId& id, TimePoint now);

  [[nodiscard]] const Peer* find(const PeerId& id) const;
  /// The agent that named the pod's inode, else the node agent of its machine, else none.
  [[nodiscard]] const Peer* owner_of(const PodId& pod) const;
  /// Agents and relays not heard since `before`. (Clients come and go as they like.)
  [[nodiscard]] std::vector<PeerId> silent_since(TimePoint before) const;
  /// All peers with this identity.
  [[nodiscard]] std::vector<PeerId> peers_of(const std::string& identity) const;
  [[nodiscard]] std::vector<AgentStatus> agents(TimePoint now) const;
  [[nodiscard]] std::size_t size() const { return peers_.size(); }
  [[nodiscard]] std::size_t pods() const { return pod_owners_.size(); }

 private:
  void forget_claims(const PeerId& id);

  std::unordered_map<PeerId, Peer> peers_;
  std::map<PodId, PeerId> pod_owners_;
  std::map<std::string, PeerId> node_owners_;  ///< by boot id
};

}  // namespace lockstep::broker
