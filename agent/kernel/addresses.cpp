#include "agent/kernel/addresses.hpp"

#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>


namespace lockstep {
namespace {

struct FreeCache {
  void operator()(nl_cache* cache) const { nl_cache_free(cache); }
};
using Cache = std::unique_ptr<nl_cache, FreeCache>;

/// Asked of a socket of the namespace: the kernel answers this for every kind of socket (net/core/dev_ioctl.c).
/// Nothing for an interface that has just gone.
std::optional<std::string> interface_name(int socket, int index) {
  ifreq request{};
  request.ifr_ifindex = index;
  if (::ioctl(socket, SIOCGIFNAME, &request) != 0) return std::nullopt;
  return std::string(request.ifr_name);
}

/// Nothing for what is neither IPv4 nor IPv6, and for an interface that has just gone.
std::optional<InterfaceAddress> read_address(int socket, rtnl_addr* entry) {
  const int family = rtnl_addr_get_family(entry);
  const nl_addr* local = rtnl_addr_get_local(entry);
  if ((family != AF_INET && family != AF_INET6) || local == nullptr) return std::nullopt;
  InterfaceAddress address;
  const std::size_t length = nl_addr_get_len(local);
  if (length != (family == AF_INET ? 4U : 16U)) return std::nullopt;
  std::memcpy(address.address.data(), nl_addr_get_binary_addr(local), length);
  address.family = family == AF_INET ? IpFamily::v4 : IpFamily::v6;
  address.prefix_length = static_cast<std::uint8_t>(rtnl_addr_get_prefixlen(entry));
  auto name = interface_name(socket, rtnl_addr_get_ifindex(entry));
  if (!name) return std::nullopt;
  address.interface = std::move(*name);
  return address;
}

}  // namespace

Result<AddressReader> AddressReader::create(const Fd& netns) {
  auto socket = NetlinkSocket::open(netns, NETLINK_ROUTE);
  if (!socket) return fail_from(socket.error(), "read addresses");
  return AddressReader(std::move(*socket));
}

Result<std::vector<InterfaceAddress>> AddressReader::read() {
  socket_.drain();  // what a read that broke off has left
  nl_cache* raw = nullptr;
  if (const int error = rtnl_addr_alloc_cache(socket_.get(), &raw); error < 0)
    return fail_netlink(error, "rtnl_addr_alloc_cache");
  const Cache cache(raw);
  const int socket = nl_socket_get_fd(socket_.get());
  std::vector<InterfaceAddress> addresses;
  for (nl_object* object = nl_cache_get_first(cache.get()); object != nullptr; object = nl_cache_get_next(object))
    if (auto address = read_address(socket, reinterpret_cast<rtnl_addr*>(object)))
      addresses.push_back(std::move(*address));
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

}  // namespace lockstep
