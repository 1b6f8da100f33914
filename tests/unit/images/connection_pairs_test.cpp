#include "cli/images/connection_pairs.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/images/sample_images.hpp"

namespace lockstep::images {
namespace {

using test::connection;
using test::endpoint;

/// Two members in pods of their own, with an address each.
std::vector<MemberEnds> two_members() {
  return {{{}, {"boot", 1}, {test::interface_address("10.0.0.1")}},
          {{}, {"boot", 2}, {test::interface_address("10.0.0.2")}}};
}

void add(std::vector<MemberEnds>& members, const test::Ends& ends, std::size_t a = 0, std::size_t b = 1) {
  members[a].ends.push_back(ends.a);
  members[b].ends.push_back(ends.b);
}

TEST(ConnectionPairs, MirroredAddresses) {
  auto members = two_members();
  add(members, connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001)));
  add(members, connection(endpoint("fd00::1", 80), endpoint("fd00::2", 4001)));
  add(members, connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4002)));
  members[0].ends.push_back(connection(endpoint("10.0.0.1", 80), endpoint("10.9.9.9", 4003)).a);
  const Pairing pairing = pair_ends(members);
  ASSERT_EQ(pairing.internal.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(pairing.internal[i].a, (EndRef{0, i}));
    EXPECT_EQ(pairing.internal[i].b, (EndRef{1, i}));
    EXPECT_FALSE(pairing.internal[i].translated);
  }
  EXPECT_EQ(pairing.external, (std::vector<EndRef>{{0, 3}}));
}

TEST(ConnectionPairs, EndsThatDoNotFitAreStillOneConnection) {
  auto members = two_members();
  auto ends = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001));
  ends.b.received += 2'000'000'000;
  add(members, ends);
  EXPECT_EQ(pair_ends(members).internal.size(), 1U);
}

TEST(ConnectionPairs, LoopbackStaysInItsPod) {
  const auto loop = connection(endpoint("127.0.0.1", 80), endpoint("127.0.0.1", 4001));
  auto members = two_members();
  add(members, loop);  // the addresses mirror, but it can't be
  EXPECT_EQ(pair_ends(members).external.size(), 2U);
  members[1].pod = members[0].pod;  // two containers of one pod
  EXPECT_EQ(pair_ends(members).internal.size(), 1U);
  members[0].pod = members[1].pod = {};
  EXPECT_EQ(pair_ends(members).external.size(), 2U);
  // The same addresses in both pods, both ends in each.
  members = two_members();
  add(members, loop, 0, 0);
  add(members, connection(endpoint("127.0.0.1", 80), endpoint("127.0.0.1", 4001)), 1, 1);
  add(members, connection(endpoint("::1", 80), endpoint("::1", 4001)), 1, 1);
  const Pairing pairing = pair_ends(members);
  ASSERT_EQ(pairing.internal.size(), 3U);
  for (const auto& pair : pairing.internal) EXPECT_EQ(pair.a.member, pair.b.member);
}

TEST(ConnectionPairs, AnAddressOfThePodItselfStaysInItToo) {
  auto members = two_members();
  members[1].addresses = members[0].addresses;  // networks that overlap
  const auto ends = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.1", 4001));
  add(members, ends, 0, 0);
  add(members, connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.1", 4001)), 1, 1);
  EXPECT_EQ(pair_ends(members).internal.size(), 2U);
}

TEST(ConnectionPairs, BehindAServiceAddress) {
  auto members = two_members();
  auto ends = connection(endpoint("10.0.0.1", 4001), endpoint("10.0.0.2", 80));
  ends.a.remote = endpoint("10.200.0.1", 443);
  add(members, ends);
  ASSERT_EQ(pair_ends(members).internal.size(), 1U);
  EXPECT_TRUE(pair_ends(members).internal[0].translated);
  members[1].ends[0].received += 100'000'000;  // does not fit, but can be
  EXPECT_EQ(pair_ends(members).internal.size(), 1U);
  members[1].ends[0].received += 1'000'000'000;  // a stranger
  EXPECT_EQ(pair_ends(members).external.size(), 2U);
}

TEST(ConnectionPairs, OneClientPortToSeveralServices) {
  auto members = two_members();
  for (std::uint16_t i = 0; i < 3; ++i) {
    auto ends = connection(endpoint("10.0.0.1", 4001), endpoint("10.0.0.2", static_cast<std::uint16_t>(80 + i)),
                           1000U + 10U * i, 7);
    ends.a.remote = endpoint("10.200.0.1", static_cast<std::uint16_t>(443 + i));
    add(members, ends);
  }
  // The numbers tell them apart.
  const Pairing pairing = pair_ends(members);
  ASSERT_EQ(pairing.internal.size(), 3U);
  for (const auto& pair : pairing.internal) EXPECT_EQ(pair.a.index, pair.b.index);
  // And where they don't, nothing is claimed.
  for (auto& end : members[0].ends) end.written = 1000;
  for (auto& end : members[1].ends) end.received = 1000;
  EXPECT_TRUE(pair_ends(members).internal.empty());
  EXPECT_EQ(pair_ends(members).ambiguous.size(), 6U);
}

TEST(ConnectionPairs, PodsThatShareAnAddress) {
  auto members = two_members();
  members.push_back({{}, {"boot", 3}, members[0].addresses});
  const auto ends = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001));
  add(members, ends);
  members[2].ends.push_back(ends.a);
  members[2].ends[0].written += 500;  // the numbers decide
  Pairing pairing = pair_ends(members);
  ASSERT_EQ(pairing.internal.size(), 1U);
  EXPECT_EQ(pairing.internal[0].a.member, 0U);
  EXPECT_EQ(pairing.ambiguous, (std::vector<EndRef>{{2, 0}}));
  members[2].ends[0].written -= 500;
  pairing = pair_ends(members);
  EXPECT_TRUE(pairing.internal.empty());
  EXPECT_EQ(pairing.ambiguous.size(), 3U);
}

TEST(ConnectionPairs, ClosedAndOpeningEnds) {
  auto members = two_members();
  auto closed = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001));
  closed.a.state = TcpState::close;
  add(members, closed);
  EXPECT_EQ(pair_ends(members).internal.size(), 1U);
  // A socket that was closed and kept does not stand in the way of its addresses' next connection.
  auto next = connection(endpoint("10.0.0.1", 80), endpoint("10.0.0.2", 4001), 3'000'000'000, 3'000'000'000);
  members[0].ends.push_back(next.a);
  members[1].ends[0] = next.b;
  const Pairing pairing = pair_ends(members);
  ASSERT_EQ(pairing.internal.size(), 1U);
  EXPECT_EQ(pairing.internal[0].a, (EndRef{0, 1}));
  EXPECT_EQ(pairing.closed, (std::vector<EndRef>{{0, 0}}));
  members = two_members();
  members[0].ends.push_back(closed.b);
  members[0].ends[0].state = TcpState::syn_sent;
  EXPECT_EQ(pair_ends(members).opening.size(), 1U);
}

TEST(ConnectionPairs, WorkGrowsInProportion) {
  auto members = two_members();
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    // All to one server port, and half of the other ends useless: thousands under one key.
    const Endpoint client =
        endpoint("10." + std::to_string(i / 25'000) + ".7.7", static_cast<std::uint16_t>(1 + i % 25'000));
    auto ends = connection(endpoint("10.0.0.1", 80), client, i * 86'028'121U, i * 15'485'863U);
    if (i % 2 == 0) ends.b.remote = ends.b.local = endpoint("10.0.0.1", 80);
    add(members, ends);
  }
  const auto begin = std::chrono::steady_clock::now();
  const Pairing pairing = pair_ends(members);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(pairing.internal.size(), 25'000U);
}

}  // namespace
}  // namespace lockstep::images
