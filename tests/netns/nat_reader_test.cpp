/// agent/kernel/nat_reader, and what Pods makes of it: real rules that translate, in a pod and on the way to another.
#include "agent/kernel/nat_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/kernel/sock_diag.hpp"
#include "agent/pods.hpp"
#include "schemas/messages.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

using agent::PodPlace;
using agent::Pods;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

constexpr milliseconds kSoon = seconds(1);

/// Something listens at 7000 of 10.77.0.2, for connections to 10.99.0.1:80.
class NatReaderTest : public ::testing::Test {
 protected:
  NatReaderTest() { connect(pod_, peer_); }

  void translate(const std::string& chain) {
    pod_.run({"nft", "-f", "-"}, "table ip nat { chain c { " + chain + "; }\n}\n");
    pod_.run({"ip", "route", "replace", "10.99.0.1", "via", "10.77.0.2"});
  }
  void translate_destination() {
    translate("type nat hook output priority -100; ip daddr 10.99.0.1 tcp dport 80 dnat to 10.77.0.2:7000");
  }
  /// A connection out of the pod; its end there.
  Socket open(const std::string& address, std::uint16_t port, int family = AF_INET) {
    clients_.push_back(socket_in(pod_, family, SOCK_STREAM));
    if (!connect_within(clients_.back(), Address(address, port), kSoon))
      throw std::runtime_error("no way to " + address);
    const std::uint16_t own = local_port(clients_.back());
    for (const Socket& socket : must(diag_.tcp_sockets())) {
      if (socket.local.port == own && socket.state == TcpState::established) return socket;
    }
    throw std::runtime_error("the connection is not in the table");
  }
  int tracked() const { return std::stoi(pod_.run({"cat", "/proc/sys/net/netfilter/nf_conntrack_count"})); }
  std::vector<NatEntry> read(const SocketTable& sockets) {
    reader_.refresh(pod_.fd());
    return must(reader_.read(flows_of(sockets)));
  }

  TestNetns pod_;
  TestNetns peer_;
  SockDiag diag_ = must(SockDiag::create(pod_.fd()));
  NatReader reader_ = must(NatReader::create(pod_.fd()));
  Fd listener_ = bound_socket(peer_, Address("::", 7000), SOCK_STREAM, 1000);
  std::vector<Fd> clients_;
};

TEST_F(NatReaderTest, WhereNothingIsTrackedThereIsNothingAndNothingIsMade) {
  const Socket socket = open("10.77.0.2", 7000);
  EXPECT_THAT(read({socket}), IsEmpty());
  EXPECT_EQ(tracked(), 0);
}

TEST_F(NatReaderTest, ATranslatedDestinationIsToldWithBothEnds) {
  translate_destination();
  const Socket through = open("10.99.0.1", 80);
  const Endpoint server = make_endpoint("10.77.0.2", 7000);
  EXPECT_THAT(read({through}), ElementsAre(NatEntry{through.local, through.remote, server, through.local}));
}

TEST_F(NatReaderTest, UntranslatedOnesAndThoseThatAreNotTrackedAreLeftOut) {
  translate_destination();
  const Socket direct = open("10.77.0.2", 7000);
  const Socket v6 = open("fd77::2", 7000, AF_INET6);
  const Socket through = open("10.99.0.1", 80);
  Socket unknown = through;
  unknown.local.port = 1;
  const int before = tracked();
  EXPECT_EQ(read({direct, v6, unknown, through}).size(), 1U);
  EXPECT_THAT(read({direct, v6, unknown}), IsEmpty());
  EXPECT_EQ(tracked(), before) << "looking creates nothing";
}

TEST_F(NatReaderTest, ATranslatedSourceToo) {
  translate("type nat hook postrouting priority 100; tcp dport 7000 snat to 10.77.0.1:20000-20999");
  const Socket socket = open("10.77.0.2", 7000);
  const auto found = read({socket});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].original_source, socket.local);
  EXPECT_NE(found[0].reply_destination, socket.local);
}

TEST_F(NatReaderTest, AServersOwnTableNamesItsClient) {
  pod_.run({"nft", "-f", "-"},
           "table ip nat { chain c { type nat hook prerouting priority -100; tcp dport 80 redirect to :7000; }\n}\n");
  const Fd listener = bound_socket(pod_, Address("10.77.0.1", 7000), SOCK_STREAM);
  const Fd client = socket_in(peer_, AF_INET, SOCK_STREAM);
  ASSERT_TRUE(connect_within(client, Address("10.77.0.1", 80), kSoon));
  const Fd server = accept_within(listener, kSoon);
  const Endpoint from = make_endpoint("10.77.0.2", local_port(client));
  EXPECT_THAT(read(must(diag_.tcp_sockets())),
              ElementsAre(NatEntry{from, make_endpoint("10.77.0.1", 80), make_endpoint("10.77.0.1", 7000), from}));
}

TEST_F(NatReaderTest, MoreThanOneDatagramOfThem) {
  translate_destination();
  SocketTable sockets;
  for (int i = 0; i < 100; ++i) {
    sockets.push_back(open("10.99.0.1", 80));
    sockets.push_back(sockets.back());
    sockets.back().local.port = static_cast<std::uint16_t>(1 + i);
  }
  const auto found = read(sockets);
  ASSERT_EQ(found.size(), 100U);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].original_source, sockets[2 * i].local);
}

TEST_F(NatReaderTest, SoManyThatADumpIsCheaper) {
  translate_destination();
  const SocketTable sockets{open("10.99.0.1", 80), open("10.99.0.1", 80), open("10.77.0.2", 7000)};
  (void)open("10.99.0.1", 80);  // somebody else's
  std::vector<Flow> flows = flows_of(sockets);
  Flow unknown = flows[0];
  for (std::uint16_t port = 1; port < 5'000; ++port) {
    unknown.from.port = port;
    flows.push_back(unknown);
  }
  reader_.refresh(pod_.fd());
  const auto dumped = must(reader_.read(flows));
  EXPECT_THAT(dumped, UnorderedElementsAreArray(read(sockets)));
  EXPECT_EQ(dumped.size(), 2U);
}

TEST_F(NatReaderTest, OnlyConnectionsThatAProcessHoldsAreLookedUp) {
  Socket socket;
  socket.remote.port = 80;
  for (const TcpState state : {TcpState::listen, TcpState::time_wait, TcpState::close, TcpState::syn_sent}) {
    socket.state = state;
    socket.inode = 5;
    EXPECT_THAT(flows_of({socket}), IsEmpty()) << to_string(state);
  }
  socket.state = TcpState::established;
  EXPECT_EQ(flows_of({socket}).size(), 1U);
  socket.inode = 0;
  EXPECT_THAT(flows_of({socket}), IsEmpty());
}

// --- a node between two pods ----------------------------------------------------------------------------------------

/// The pod's packets to 10.99.0.2 go through a node that translates them, as kube-proxy's rules do.
class NodeTest : public ::testing::Test {
 protected:
  NodeTest() {
    connect(pod_, node_);
    pod_.run({"ip", "route", "add", "10.99.0.0/24", "via", "10.77.0.2"});
    node_.run({"nft", "-f", "-"}, R"(table ip nat { chain c { type nat hook prerouting priority -100;
      ip daddr 10.99.0.2 tcp dport 80 dnat to 10.77.0.2:7000; }
    }
    )");
    must(pods_.prepare(place_));
  }
  Socket open(const std::string& address) {
    client_ = socket_in(pod_, AF_INET, SOCK_STREAM);
    if (!connect_within(client_, Address(address, 80), kSoon)) throw std::runtime_error("no way to " + address);
    for (const Socket& socket : must(must(SockDiag::create(pod_.fd())).tcp_sockets()))
      if (socket.state == TcpState::established) return socket;
    throw std::runtime_error("the connection is not in the table");
  }
  Fd duplicate(const TestNetns& netns) { return must(open_netns(netns.path())); }

  TestNetns pod_;
  TestNetns node_;
  Fd listener_ = bound_socket(node_, Address("0.0.0.0", 7000), SOCK_STREAM);
  Fd client_;
  PodPlace place_{{"boot", must(netns_inode(pod_.fd()))}, 0, pod_.path()};
  Pods pods_{"boot", LockBackend::nftables, {}};
};

TEST_F(NodeTest, ASidecarDoesNotSeeWhatTheNodeTranslates) {
  EXPECT_THAT(must(pods_.nat_entries(place_.pod, {open("10.99.0.2")})), IsEmpty());
}

TEST_F(NodeTest, TheNodesAgentDoes) {
  must(pods_.add_node(duplicate(node_)));
  const Socket socket = open("10.99.0.2");
  EXPECT_THAT(must(pods_.nat_entries(place_.pod, {socket})),
              ElementsAre(NatEntry{socket.local, socket.remote, make_endpoint("10.77.0.2", 7000), socket.local}));
}

TEST_F(NodeTest, ATranslationInThePodIsFollowedToTheNode) {
  must(pods_.add_node(duplicate(node_)));
  pod_.run({"nft", "-f", "-"},
           "table ip nat { chain c { type nat hook output priority -100; ip daddr 10.99.0.1 dnat to 10.99.0.2; }\n}\n");
  must(pods_.prepare(place_));
  const Socket socket = open("10.99.0.1");
  const Endpoint between = make_endpoint("10.99.0.2", 80);
  EXPECT_THAT(must(pods_.nat_entries(place_.pod, {socket})),
              UnorderedElementsAre(NatEntry{socket.local, socket.remote, between, socket.local},
                                   NatEntry{socket.local, between, make_endpoint("10.77.0.2", 7000), socket.local}));
}

TEST_F(NodeTest, AMemberOfTheNodesOwnNamespaceIsLookedUpOnce) {
  must(pods_.add_node(duplicate(pod_)));
  pod_.run({"nft", "-f", "-"},
           "table ip nat { chain c { type nat hook output priority -100; ip daddr 10.99.0.1 dnat to 10.99.0.2; }\n}\n");
  must(pods_.prepare(place_));
  EXPECT_EQ(must(pods_.nat_entries(place_.pod, {open("10.99.0.1")})).size(), 1U);
}

TEST(FlowsOutside, AreTranslatedInBothDirectionsAndLeaveTheLoopbackOut) {
  const Endpoint client = make_endpoint("10.0.0.1", 40'000), service = make_endpoint("10.96.0.1", 80);
  const Endpoint server = make_endpoint("10.0.0.2", 8'080), local = make_endpoint("127.0.0.1", 80);
  const std::vector<NatEntry> entries{{client, service, server, client}};
  const std::vector<Flow> flows{
      {client, service}, {server, client}, {client, local}, {local, client}, {server, service}};
  EXPECT_THAT(flows_outside(flows, entries),
              ElementsAre(Flow{client, server}, Flow{service, client}, Flow{server, service}));
}

}  // namespace
}  // namespace lockstep::testing
