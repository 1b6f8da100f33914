#include "broker/core/connection_matching.hpp"

#include <gtest/gtest.h>

#include "schemas/messages.hpp"
#include "tests/unit/connections/tables.hpp"

namespace lockstep::broker {
namespace {

using testing::at;
using testing::counted;
using testing::listener;
using testing::Members;
using testing::socket;

const std::vector<std::string> kA{"127.0.0.1", "10.0.0.1", "fd00::1", "fe80::1"};
const std::vector<std::string> kB{"127.0.0.1", "10.0.0.2", "fd00::2", "fe80::2"};

SocketLabel peer(ConnectionLabel label, int member, int position) { return {label, Doubt::none, member, position}; }
SocketLabel alone(ConnectionLabel label, Doubt doubt = Doubt::none) { return {label, doubt, -1, -1}; }

TEST(Matching, NothingComesOfNothing) {
  EXPECT_TRUE(match_connections({}).pairs.empty());
  Members members;
  members.add(1, kA, {});
  EXPECT_EQ(members.match().labels.size(), 1U);
}

TEST(Matching, MirroredTuplesAcrossPods) {
  for (const auto& [a, b] :
       {std::pair{"10.0.0.1", "10.0.0.2"}, std::pair{"fd00::1", "fd00::2"}, {"fe80::1", "fe80::2"}}) {
    Members members;
    members.add(1, kA, {socket(at(a, 5000), at(b, 80))});
    members.add(2, kB, {listener(at(b, 80)), socket(at(b, 80), at(a, 5000))});
    const Matching result = members.match();
    EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal, 1, 1)) << a;
    EXPECT_EQ(result.labels[1][0], alone(ConnectionLabel::listening));
    EXPECT_EQ(result.labels[1][1], peer(ConnectionLabel::internal, 0, 0));
    ASSERT_EQ(result.pairs.size(), 1U);
    EXPECT_EQ(result.pairs[0].client, (SocketRef{0, 0}));
    EXPECT_EQ(result.pairs[0].server, (SocketRef{1, 1}));
  }
}

TEST(Matching, TheListenerTellsTheServer) {
  Members members;
  members.add(1, kA, {listener(at("::", 80)), socket(at("10.0.0.1", 80), at("10.0.0.2", 5000))});
  members.add(2, kB, {socket(at("10.0.0.2", 5000), at("10.0.0.1", 80))});
  EXPECT_EQ(members.match().pairs.at(0).client, (SocketRef{1, 0}));
}

TEST(Matching, EveryConnectedStateIsAnEnd) {
  const TcpState states[] = {TcpState::established, TcpState::fin_wait1, TcpState::fin_wait2,
                             TcpState::close_wait,  TcpState::last_ack,  TcpState::closing};
  for (const TcpState a : states) {
    for (const TcpState b : states) {
      Members members;
      members.add(1, kA, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80), a)});
      members.add(2, kB, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000), b)});
      EXPECT_EQ(members.match().labels[0][0], peer(ConnectionLabel::internal, 1, 0)) << to_string(a) << to_string(b);
    }
  }
}

TEST(Matching, LoopbackInsideOnePodOnly) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    const Socket client = socket(at(address, 5000), at(address, 80));
    const Socket server = socket(at(address, 80), at(address, 5000));
    Members one_pod;  // two containers
    one_pod.add(1, kA, {client});
    one_pod.add(1, kA, {server});
    EXPECT_EQ(one_pod.match().labels[0][0], peer(ConnectionLabel::internal, 1, 0));
    Members two_pods;
    two_pods.add(1, kA, {client});
    two_pods.add(2, kB, {server});
    EXPECT_EQ(two_pods.match().labels[0][0], alone(ConnectionLabel::external));
    EXPECT_EQ(two_pods.match().labels[1][0], alone(ConnectionLabel::external));
  }
}

TEST(Matching, PodsThatAreNotKnownAreNotOnePod) {
  Members members;
  members.add(0, {}, {socket(at("127.0.0.1", 5000), at("127.0.0.1", 80))});
  members.add(0, {}, {socket(at("127.0.0.1", 80), at("127.0.0.1", 5000))});
  EXPECT_TRUE(members.match().pairs.empty());
}

TEST(Matching, TheSameLoopbackTupleInAThousandPods) {
  Members members;
  for (std::uint64_t pod = 1; pod <= 1000; ++pod) {
    members.add(
        pod, kA,
        {socket(at("127.0.0.1", 5000), at("127.0.0.1", 80)), socket(at("127.0.0.1", 80), at("127.0.0.1", 5000))});
  }
  const Matching result = members.match();
  EXPECT_EQ(result.pairs.size(), 1000U);
  for (const ConnectionPair& pair : result.pairs) EXPECT_EQ(pair.client.member, pair.server.member);
}

TEST(Matching, ThePodThatOwnsTheAddressIsTheOther) {
  Members members;
  members.add(1, kA, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))});
  members.add(2, kB, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000))});
  members.add(3, {"10.0.0.3"}, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000))});
  members.add(4, {}, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000))});  // addresses not known: after the owner
  const Matching result = members.match();
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal, 1, 0));
  EXPECT_EQ(result.labels[2][0], alone(ConnectionLabel::external));
  EXPECT_EQ(result.labels[3][0], alone(ConnectionLabel::external));
}

TEST(Matching, NotTheOwnerIsNotTheOther) {
  Members members;
  members.add(1, kA, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))});
  members.add(3, {"10.0.0.3"}, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000))});
  EXPECT_TRUE(members.match().pairs.empty());
}

TEST(Matching, UnknownAddressesAreNoObstacle) {
  Members members;
  members.add(1, {}, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))});
  members.add(2, {}, {socket(at("10.0.0.2", 80), at("10.0.0.1", 5000))});
  EXPECT_EQ(members.match().pairs.size(), 1U);
}

/// Two networks with the same addresses, and the same connection in both.
Members overlapping(std::uint64_t first, std::uint64_t second) {
  Members members;
  const auto client = [](std::uint64_t sent) {
    return counted(socket(at("10.0.0.1", 5000), at("10.0.0.2", 80)), sent + 1, 0);
  };
  const auto server = [](std::uint64_t got) {
    return counted(socket(at("10.0.0.2", 80), at("10.0.0.1", 5000)), 0, got);
  };
  members.add(1, kA, {client(first)});
  members.add(2, kB, {server(first)});
  members.add(3, kA, {client(second)});
  members.add(4, kB, {server(second)});
  return members;
}

TEST(Matching, OverlappingNetworksAreToldApartByCounts) {
  const Matching result = overlapping(1000, 2000).match();
  ASSERT_EQ(result.pairs.size(), 2U);
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal, 1, 0));
  EXPECT_EQ(result.labels[2][0], peer(ConnectionLabel::internal, 3, 0));
}

TEST(Matching, OverlappingNetworksWithEqualCountsAreAmbiguous) {
  for (const std::uint64_t count : {0, 1000}) {
    const Matching result = overlapping(count, count).match();
    for (const auto& labels : result.labels) {
      EXPECT_EQ(labels[0], alone(ConnectionLabel::ambiguous, Doubt::several_candidates));
    }
  }
}

TEST(Matching, ASocketThatTwoMembersHoldIsAmbiguous) {
  Members members;
  members.add(1, kA, {socket(at("127.0.0.1", 5000), at("127.0.0.1", 80))});
  members.add(1, kA, {socket(at("127.0.0.1", 80), at("127.0.0.1", 5000))});
  members.add(1, kA, {socket(at("127.0.0.1", 80), at("127.0.0.1", 5000))});
  for (const auto& labels : members.match().labels) EXPECT_EQ(labels[0].doubt, Doubt::several_candidates);
}

TEST(Matching, ASocketMayBeConnectedWithItself) {
  Members members;
  members.add(1, kA, {socket(at("127.0.0.1", 5000), at("127.0.0.1", 5000))});
  const Matching result = members.match();
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal, 0, 0));
  EXPECT_EQ(result.pairs.size(), 1U);
}

TEST(Matching, StatesThatAreLabelsOfTheirOwn) {
  const auto label = [](TcpState state, std::uint64_t inode) {
    Members members;
    Socket one = socket(at("10.0.0.1", 5000), at("10.0.0.2", 80), state);
    one.inode = inode;
    members.add(1, kA, {one});
    return members.match().labels[0][0].label;
  };
  EXPECT_EQ(label(TcpState::syn_sent, 1), ConnectionLabel::half_open);
  EXPECT_EQ(label(TcpState::syn_recv, 0), ConnectionLabel::half_open);
  EXPECT_EQ(label(TcpState::new_syn_recv, 0), ConnectionLabel::half_open);
  EXPECT_EQ(label(TcpState::established, 0), ConnectionLabel::half_open);
  EXPECT_EQ(label(TcpState::time_wait, 0), ConnectionLabel::finished);
  EXPECT_EQ(label(TcpState::fin_wait1, 0), ConnectionLabel::finished);
  EXPECT_EQ(label(TcpState::close, 1), ConnectionLabel::finished);
}

TEST(Matching, NotAcceptedYetIsHalfOpenAtBothEnds) {
  Members members;
  Socket waiting = socket(at("10.0.0.2", 80), at("10.0.0.1", 5000));
  waiting.inode = 0;
  members.add(1, kA, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))});
  members.add(2, kB, {listener(at("10.0.0.2", 80)), waiting});
  const Matching result = members.match();
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::half_open, 1, 1));
  EXPECT_EQ(result.labels[1][1], peer(ConnectionLabel::half_open, 0, 0));
  EXPECT_TRUE(result.pairs.empty());
}

TEST(Matching, WhatThePeerHasFinishedIsOrphaned) {
  for (const TcpState state : {TcpState::close_wait, TcpState::last_ack, TcpState::closing}) {
    Members members;
    members.add(1, kA,
                {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80), state),
                 socket(at("10.0.0.1", 5000), at("192.0.2.7", 80), state)});
    members.add(2, kB, {});
    EXPECT_EQ(members.match().labels[0][0], alone(ConnectionLabel::orphaned));
    EXPECT_EQ(members.match().labels[0][1], alone(ConnectionLabel::external));
  }
}

TEST(Matching, TimeWaitIsNobodysOtherEnd) {
  Members members;
  Socket old = socket(at("10.0.0.2", 80), at("10.0.0.1", 5000), TcpState::time_wait);
  old.inode = 0;
  members.add(1, kA, {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80))});
  members.add(2, kB, {old});
  EXPECT_EQ(members.match().labels[0][0], alone(ConnectionLabel::external));
}

TEST(Matching, AMemberThatListensButDoesNotKnowTheConnection) {
  Members members;
  members.add(1, kA,
              {socket(at("10.0.0.1", 5000), at("10.0.0.2", 80)), socket(at("10.0.0.1", 5000), at("10.0.0.2", 81))});
  members.add(2, kB, {listener(at("0.0.0.0", 80))});
  EXPECT_EQ(members.match().labels[0][0], alone(ConnectionLabel::ambiguous, Doubt::peer_unseen));
  EXPECT_EQ(members.match().labels[0][1], alone(ConnectionLabel::external));
}

}  // namespace
}  // namespace lockstep::broker
