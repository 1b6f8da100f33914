/// agent/kernel/addresses.
#include "agent/kernel/addresses.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

InterfaceAddress interface_address(const std::string& interface, const std::string& text, std::uint8_t prefix) {
  const Endpoint endpoint = make_endpoint(text, 0);
  return {interface, endpoint.family, endpoint.address, prefix};
}

TEST(Addresses, AllOfANamespace) {
  TestNetns pod;
  TestNetns peer;
  connect(pod, peer);
  pod.run({"ip", "addr", "add", "10.78.0.1/32", "dev", "lo"});
  auto reader = must(AddressReader::create(pod.fd()));
  auto addresses = must(reader.read());
  EXPECT_TRUE(std::is_sorted(addresses.begin(), addresses.end()));
  // The link-local address is made from a random hardware address.
  const auto link_local = [](const InterfaceAddress& a) { return a.address[0] == 0xfe && a.address[1] == 0x80; };
  EXPECT_EQ(std::count_if(addresses.begin(), addresses.end(), link_local), 1);
  std::erase_if(addresses, link_local);
  const std::vector<InterfaceAddress> expected{
      interface_address("lo", "10.78.0.1", 32),  interface_address("lo", "127.0.0.1", 8),
      interface_address("lo", "::1", 128),       interface_address("veth0", "10.77.0.1", 24),
      interface_address("veth0", "fd77::1", 64),
  };
  EXPECT_EQ(addresses, expected);

  pod.run({"ip", "addr", "del", "10.78.0.1/32", "dev", "lo"});
  const auto later = must(reader.read());
  EXPECT_EQ(std::ranges::count(later, expected[0]), 0);
  EXPECT_EQ(std::ranges::count(later, expected[1]), 1);
}

}  // namespace
}  // namespace lockstep::testing
