/// What the matching looks up, in hash maps over the sockets of all members of a round: every look-up takes constant
/// time, so the whole matching grows with the number of sockets and nothing else. Refers to its input; keep that alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/ids.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::broker {

/// One member as the matching sees it. Members of one pod are told by equal PodIds; one whose PodId is not known is
/// taken for a pod of its own. Without addresses nothing can be said about what the pod owns, and nothing is refused.
struct MemberSockets {
  PodId pod;
  std::span<const Socket> sockets;
  std::span<const InterfaceAddress> addresses;
};

/// A connection's end points in the order of the socket that has them.
struct Tuple {
  Endpoint local;
  Endpoint remote;
  bool operator==(const Tuple&) const = default;
};

struct EndpointHash {
  std::size_t operator()(const Endpoint& endpoint) const noexcept;
};
struct TupleHash {
  std::size_t operator()(const Tuple& tuple) const noexcept;
};

/// Number of a socket among those of all members.
using SocketId = std::uint32_t;
inline constexpr SocketId kNoSocket = ~SocketId{0};

/// Sockets by a key that several may share: the map holds the first of each, the rest is one number for each socket.
template <class Key, class Hash>
class SocketChains {
 public:
  explicit SocketChains(std::size_t sockets) : next_(sockets, kNoSocket) {}
  void reserve(std::size_t keys) { first_.reserve(keys); }

  void add(const Key& key, SocketId socket) {
    const auto [place, added] = first_.try_emplace(key, socket);
    if (added) return;
    next_[socket] = place->second;
    place->second = socket;
  }
  /// The first socket of a key, and the one after another; kNoSocket where there is none.
  [[nodiscard]] SocketId first(const Key& key) const {
    const auto place = first_.find(key);
    return place == first_.end() ? kNoSocket : place->second;
  }
  [[nodiscard]] SocketId next(SocketId socket) const { return next_[socket]; }
  [[nodiscard]] const std::unordered_map<Key, SocketId, Hash>& keys() const { return first_; }

 private:
  std::unordered_map<Key, SocketId, Hash> first_;
  std::vector<SocketId> next_;
};

using TupleChains = SocketChains<Tuple, TupleHash>;
using EndpointChains = SocketChains<Endpoint, EndpointHash>;

class ConnectionIndex {
 public:
  struct Entry {
    const Socket* socket = nullptr;
    std::uint32_t member = 0;
    std::uint32_t position = 0;  ///< in the member's table
    std::uint32_t pod = 0;
  };

  explicit ConnectionIndex(std::span<const MemberSockets> members);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& operator[](SocketId id) const { return entries_[id]; }

  /// The address stands on an interface of the pod (loopback: of every pod).
  [[nodiscard]] bool owns(std::uint32_t pod, const Endpoint& address) const;
  /// The same, or the pod's addresses have not been told.
  [[nodiscard]] bool may_own(std::uint32_t pod, const Endpoint& address) const;
  /// A member of the pod listens on the end point, or on its port for every address.
  [[nodiscard]] bool listens(std::uint32_t pod, const Endpoint& endpoint) const;
  /// The pods that own the address; none for a loopback address, which every pod has for itself.
  [[nodiscard]] std::span<const std::uint32_t> owners(const Endpoint& address) const;

 private:
  struct PodEndpoint {
    std::uint32_t pod = 0;
    Endpoint endpoint;
    bool operator==(const PodEndpoint&) const = default;
  };
  struct PodEndpointHash {
    std::size_t operator()(const PodEndpoint& key) const noexcept {
      return EndpointHash{}(key.endpoint) ^ key.pod * std::size_t{0x9E3779B97F4A7C15};
    }
  };

  void add_addresses(std::uint32_t pod, std::span<const InterfaceAddress> addresses);
  void add_sockets(std::uint32_t member, std::uint32_t pod, std::span<const Socket> sockets);

  std::vector<Entry> entries_;
  std::vector<bool> addresses_told_;                        ///< by pod
  std::unordered_set<PodEndpoint, PodEndpointHash> owned_;  ///< port 0
  std::unordered_set<PodEndpoint, PodEndpointHash> listening_;
  std::unordered_map<Endpoint, std::vector<std::uint32_t>, EndpointHash> owners_;  ///< port 0
};

}  // namespace lockstep::broker
