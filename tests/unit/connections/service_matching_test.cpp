#include <gtest/gtest.h>

#include "tests/unit/connections/tables.hpp"

namespace lockstep::broker {
namespace {

using testing::at;
using testing::counted;
using testing::listener;
using testing::Members;
using testing::socket;

const Endpoint kClient = at("10.0.0.1", 40000);
const Endpoint kService = at("10.96.0.1", 80);
const Endpoint kServer = at("10.0.0.2", 8080);
const Endpoint kNode = at("192.168.0.1", 50001);

SocketLabel peer(ConnectionLabel label, int member, int position, Doubt doubt = Doubt::none) {
  return {label, doubt, member, position};
}

/// A client and a server behind a Service; the server's listener, where there is one, is its first socket.
Members service(const Socket& client, const Socket& server, bool listening = true) {
  Members members;
  members.add(1, {"10.0.0.1"}, {client});
  SocketTable table;
  if (listening) table.push_back(listener(at("0.0.0.0", kServer.port)));
  table.push_back(server);
  members.add(2, {"10.0.0.2"}, table);
  return members;
}

Socket client(std::uint64_t acked, std::uint64_t received, std::uint32_t queue = 0) {
  return counted(socket(kClient, kService), acked, received, queue);
}
Socket server(std::uint64_t acked, std::uint64_t received, std::uint32_t queue = 0) {
  return counted(socket(kServer, kClient), acked, received, queue);
}

TEST(Service, CountsThatFitProveIt) {
  const Matching result = service(client(101, 2000), server(2000, 100)).match();
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal_service, 1, 1));
  EXPECT_EQ(result.labels[1][1], peer(ConnectionLabel::internal_service, 0, 0));
  ASSERT_EQ(result.pairs.size(), 1U);
  EXPECT_EQ(result.pairs[0].client, (SocketRef{0, 0}));
  EXPECT_EQ(result.pairs[0].label, ConnectionLabel::internal_service);
}

TEST(Service, WhatIsUnderWayIsBoundedByTheSendQueue) {
  // 500 bytes sent and not acknowledged: between none and all of them may have arrived.
  for (const std::uint64_t arrived : {0, 250, 500}) {
    const Matching result = service(client(101, 7, 500), server(7, 100 + arrived)).match();
    EXPECT_EQ(result.labels[0][0].label, ConnectionLabel::internal_service) << arrived;
  }
  for (const std::uint64_t impossible : {99, 602}) {
    const Matching result = service(client(101, 7, 500), server(7, impossible)).match();
    EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::ambiguous, 1, 1, Doubt::counts_differ)) << impossible;
  }
}

TEST(Service, CountsAfterARestoreHaveNoSyn) {
  EXPECT_EQ(service(client(100, 20), server(20, 100)).match().labels[0][0].label, ConnectionLabel::internal_service);
}

TEST(Service, IdleConnectionsProveNothing) {
  const Matching result = service(client(1, 0), server(0, 0)).match();
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::ambiguous, 1, 1, Doubt::unconfirmed));
  EXPECT_EQ(result.labels[1][1], peer(ConnectionLabel::ambiguous, 0, 0, Doubt::unconfirmed));
  EXPECT_TRUE(result.pairs.empty());
}

TEST(Service, WithoutAListenerTheSynTellsTheDirection) {
  EXPECT_EQ(service(client(101, 20), server(20, 100), false).match().labels[0][0].label,
            ConnectionLabel::internal_service);
  EXPECT_EQ(service(client(100, 20), server(20, 100), false).match().labels[0][0].doubt, Doubt::unconfirmed);
}

TEST(Service, ConntrackProvesEvenIdleOnes) {
  const NatEntry entry{kClient, kService, kServer, kClient};
  const NatEntry untranslated{kClient, kServer, kServer, kClient};
  const Matching result = service(client(1, 0), server(0, 0)).match({untranslated, entry, entry});
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal_service, 1, 1));
}

TEST(Service, ConntrackThatNamesAnotherServerDisproves) {
  const NatEntry entry{kClient, kService, at("198.51.100.9", 8080), kClient};
  const Matching result = service(client(101, 20), server(20, 100)).match({entry});
  EXPECT_EQ(result.labels[0][0].label, ConnectionLabel::external);
  EXPECT_EQ(result.labels[1][1].label, ConnectionLabel::external);
}

TEST(Service, ConntrackWithTwoServersIsAmbiguous) {
  Members members = service(client(1, 0), server(0, 0));
  members.add(3, {"10.0.0.3"}, {socket(at("10.0.0.3", 8080), kClient)});
  const Matching result =
      members.match({{kClient, kService, kServer, kClient}, {kClient, kService, at("10.0.0.3", 8080), kClient}});
  EXPECT_EQ(result.labels[0][0].doubt, Doubt::several_candidates);
  EXPECT_EQ(result.labels[1][1].doubt, Doubt::several_candidates);
  EXPECT_EQ(result.labels[2][0].doubt, Doubt::several_candidates);
}

TEST(Service, APortSharedWithAnotherConnectionIsToldByCounts) {
  Members members;
  members.add(1, {"10.0.0.1"}, {counted(socket(kClient, at("203.0.113.5", 443)), 77, 88), client(101, 20)});
  members.add(2, {"10.0.0.2"}, {listener(kServer), server(20, 100)});
  const Matching result = members.match();
  EXPECT_EQ(result.labels[0][0].label, ConnectionLabel::external);
  EXPECT_EQ(result.labels[0][1], peer(ConnectionLabel::internal_service, 1, 1));
}

TEST(Service, APortSharedWithEqualCountsIsAmbiguous) {
  Members members;
  members.add(1, {"10.0.0.1"}, {counted(socket(kClient, at("203.0.113.5", 443)), 101, 20), client(101, 20)});
  members.add(2, {"10.0.0.2"}, {listener(kServer), server(20, 100)});
  const Matching result = members.match();
  for (const SocketLabel& label : result.labels[0]) EXPECT_EQ(label.doubt, Doubt::several_candidates);
}

TEST(Service, RedirectToAProxyInThePod) {
  Members members;
  const Endpoint proxy = at("127.0.0.1", 15001);
  members.add(1, {"10.0.0.1"}, {client(101, 20)});
  members.add(1, {"10.0.0.1"}, {listener(proxy), counted(socket(proxy, kClient), 20, 100)});
  EXPECT_EQ(members.match().labels[0][0], peer(ConnectionLabel::internal_service, 1, 1));
  Members elsewhere;
  elsewhere.add(1, {"10.0.0.1"}, {client(101, 20)});
  elsewhere.add(2, {"10.0.0.2"}, {listener(proxy), counted(socket(proxy, kClient), 20, 100)});
  EXPECT_EQ(elsewhere.match().labels[0][0].label, ConnectionLabel::external);
}

TEST(Service, AClientInAPodThatDoesNotOwnItsAddress) {
  Members members;
  members.add(1, {"10.0.0.9"}, {client(101, 20)});
  members.add(2, {"10.0.0.2"}, {listener(kServer), server(20, 100)});
  EXPECT_EQ(members.match().labels[0][0].label, ConnectionLabel::external);
}

/// The client connects to the server's own address; the server sees the node's.
Members masqueraded(bool listening) {
  Members members;
  members.add(1, {"10.0.0.1"}, {counted(socket(kClient, kServer), 101, 20)});
  SocketTable table;
  if (listening) table.push_back(listener(kServer));
  table.push_back(counted(socket(kServer, kNode), 20, 100));
  members.add(2, {"10.0.0.2"}, table);
  return members;
}

TEST(Service, SourceNatIsNeverInternal) {
  for (const bool listening : {true, false}) {
    const Matching result = masqueraded(listening).match();
    EXPECT_TRUE(result.pairs.empty());
    EXPECT_EQ(result.labels[0][0].label, ConnectionLabel::ambiguous);
    EXPECT_EQ(result.labels[0][0].doubt, listening ? Doubt::peer_unseen : Doubt::counts_differ);
  }
}

TEST(Service, ConntrackNamesTheOtherEndAcrossSourceNat) {
  const Matching result = masqueraded(true).match({{kClient, kServer, kServer, kNode}});
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::ambiguous, 1, 1, Doubt::source_translated));
  EXPECT_EQ(result.labels[1][1], peer(ConnectionLabel::ambiguous, 0, 0, Doubt::source_translated));
  EXPECT_TRUE(result.pairs.empty());
}

TEST(Service, TranslationsInARowAreFollowed) {
  const Endpoint inner = at("10.0.0.2", 9000);  // where the server's pod redirects to
  const Endpoint second = at("10.96.0.2", 81);  // a Service behind the Service
  const NatEntry in_the_clients_pod{kClient, kService, second, kClient};
  const NatEntry on_the_node{kClient, second, kServer, kClient};
  const NatEntry in_the_servers_pod{kClient, kServer, inner, kClient};
  Members members;
  members.add(1, {"10.0.0.1"}, {socket(kClient, kService)});
  members.add(2, {"10.0.0.2"}, {socket(inner, kClient)});
  EXPECT_EQ(members.match({in_the_servers_pod, on_the_node, in_the_clients_pod, on_the_node}).labels[0][0],
            peer(ConnectionLabel::internal_service, 1, 0));
  const NatEntry masquerading{kClient, second, kServer, kNode};
  const NatEntry after_it{kNode, kServer, inner, kNode};
  Members masked;
  masked.add(1, {"10.0.0.1"}, {socket(kClient, kService)});
  masked.add(2, {"10.0.0.2"}, {socket(inner, kNode)});
  EXPECT_EQ(masked.match({in_the_clients_pod, masquerading, after_it}).labels[1][0],
            peer(ConnectionLabel::ambiguous, 0, 0, Doubt::source_translated));
}

TEST(Service, TranslationsThatGoRoundInCirclesEnd) {
  const NatEntry there{kClient, kService, kServer, kClient};
  const NatEntry back{kClient, kServer, kService, kClient};
  const Matching result = service(client(1, 0), server(0, 0)).match({there, back});
  EXPECT_EQ(result.labels[0][0], peer(ConnectionLabel::internal_service, 1, 1));
}

TEST(Service, AHalfClosedOneIsOne) {
  Socket from = client(101, 20);
  Socket to = server(20, 101);  // with the FIN
  from.state = TcpState::fin_wait2;
  from.bytes_acked = 102;
  to.state = TcpState::close_wait;
  EXPECT_EQ(service(from, to).match().labels[1][1], peer(ConnectionLabel::internal_service, 0, 0));
}

}  // namespace
}  // namespace lockstep::broker
