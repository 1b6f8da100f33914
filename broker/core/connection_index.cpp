#include "broker/core/connection_index.hpp"

#include <map>

#include "schemas/endpoint_text.hpp"

namespace lockstep::broker {
namespace {

/// splitmix64's finaliser: addresses differ in few bits, and these must reach all of the hash.
std::size_t mix(std::uint64_t value) {
  value = (value ^ value >> 30U) * 0xBF58476D1CE4E5B9U;
  value = (value ^ value >> 27U) * 0x94D049BB133111EBU;
  return value ^ value >> 31U;
}

Endpoint without_port(Endpoint endpoint) {
  endpoint.port = 0;
  return endpoint;
}

}  // namespace

std::size_t EndpointHash::operator()(const Endpoint& endpoint) const noexcept {
  std::uint64_t words[2];
  std::memcpy(words, endpoint.address.data(), sizeof words);
  const std::uint64_t rest = std::uint64_t{endpoint.port} << 8U | static_cast<std::uint8_t>(endpoint.family);
  return mix(words[0] + 0x9E3779B97F4A7C15U * (rest + 1)) ^ mix(words[1] + rest);
}

std::size_t TupleHash::operator()(const Tuple& tuple) const noexcept {
  // Not symmetric: a tuple and its mirror are different keys.
  return mix(EndpointHash{}(tuple.local) + 3 * EndpointHash{}(tuple.remote));
}

ConnectionIndex::ConnectionIndex(std::span<const MemberSockets> members) {
  std::size_t sockets = 0;
  for (const MemberSockets& member : members) sockets += member.sockets.size();
  entries_.reserve(sockets);
  std::map<PodId, std::uint32_t> pods;
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    auto pod = static_cast<std::uint32_t>(addresses_told_.size());
    if (members[i].pod.known()) pod = pods.try_emplace(members[i].pod, pod).first->second;
    if (pod == addresses_told_.size()) addresses_told_.push_back(false);
    add_addresses(pod, members[i].addresses);
    add_sockets(i, pod, members[i].sockets);
  }
}

void ConnectionIndex::add_addresses(std::uint32_t pod, std::span<const InterfaceAddress> addresses) {
  if (!addresses.empty()) addresses_told_[pod] = true;
  for (const InterfaceAddress& address : addresses) {
    const Endpoint endpoint{address.family, address.address, 0};
    // Members of one pod, and interfaces of one pod, may tell the same address again.
    if (owned_.insert({pod, endpoint}).second) owners_[endpoint].push_back(pod);
  }
}

void ConnectionIndex::add_sockets(std::uint32_t member, std::uint32_t pod, std::span<const Socket> sockets) {
  for (std::uint32_t i = 0; i < sockets.size(); ++i) {
    entries_.push_back({&sockets[i], member, i, pod});
    if (sockets[i].state == TcpState::listen) listening_.insert({pod, sockets[i].local});
  }
}

bool ConnectionIndex::owns(std::uint32_t pod, const Endpoint& address) const {
  return is_loopback(address) || owned_.contains({pod, without_port(address)});
}

bool ConnectionIndex::may_own(std::uint32_t pod, const Endpoint& address) const {
  return !addresses_told_[pod] || owns(pod, address);
}

bool ConnectionIndex::listens(std::uint32_t pod, const Endpoint& endpoint) const {
  const auto any = [&](IpFamily family) { return PodEndpoint{pod, Endpoint{family, {}, endpoint.port}}; };
  return listening_.contains({pod, endpoint}) || listening_.contains(any(endpoint.family)) ||
         listening_.contains(any(IpFamily::v6));  // a dual-stack socket takes IPv4 too
}

std::span<const std::uint32_t> ConnectionIndex::owners(const Endpoint& address) const {
  if (is_loopback(address)) return {};
  const auto found = owners_.find(without_port(address));
  return found == owners_.end() ? std::span<const std::uint32_t>{} : found->second;
}

}  // namespace lockstep::broker
