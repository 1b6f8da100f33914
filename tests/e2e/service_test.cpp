/// Connections whose two ends do not name each other: a translated destination is seen through, a translated source is
/// called ambiguous.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

const std::string kService = "10.99.0.7";

/// A member in pod 0 that serves port 7000, one in pod 1 whose packets are translated on their way out.
class Service : public Connections, public ::testing::WithParamInterface<Agents> {
 protected:
  Service()
      : cluster_(2, GetParam()),
        server_(cluster_, "server", cluster_.network().pod(0)),
        client_(cluster_, "client", cluster_.network().pod(1)),
        group_(cluster_.write_group(group_of({&server_, &client_}), kShortBounds)) {
    server_.tell("listen in 7000");
  }

  void translate(const std::string& chain) {
    must_run({"nft", "add table ip service; add chain ip service translate " + chain}, translating_);
  }
  void connect_through_the_service() {
    must_run({"ip", "route", "add", kService, "via", Network::hub_address()}, client_pod());
    const std::string hook = translating_ == client_pod() ? "output" : "prerouting";
    translate("{ type nat hook " + hook + " priority -100; }; add rule ip service translate ip daddr " + kService +
              " tcp dport 80 dnat to " + Network::address4(0) + ":7000");
    connect(client_, "out", kService + ":80", server_, "in.1");
    EXPECT_EQ(client_.socket("out").peer, kService + ":80");
  }
  void talk_through_the_service() {
    connect_through_the_service();
    expect_alive(client_, "out", server_, "in.1");
  }

  static void expect_recognised(const json& dumped) {
    expect_counts(dumped, "client", {{"internal_service", 1}});
    expect_counts(dumped, "server", {{"internal_service", 1}, {"listening", 2}});
    EXPECT_EQ(dumped["consistent"], true) << dumped["proof"];
  }

  void restore() {
    EXPECT_EQ(report_of(cluster_, {"restore", group_}, 0)["differences"], json::array());
    expect_unlocked(cluster_);
    expect_alive(client_, "out", server_, "in.1");
  }

  /// The server has something that the client does not know to have arrived, and will send again: from then on the two
  /// ends' counts do not fit one another.
  void lose_acknowledgements() {
    must_run({"nft",
              "add table inet loss; add chain inet loss in { type filter hook prerouting priority -300; }; "
              "add rule inet loss in tcp sport { 80, 7000 } drop"},
             client_pod());
    const std::uint64_t before = server_.socket("in.1").received;
    client_.tell("send out 5000");
    expect_received(server_, "in.1", before + 5000);
    EXPECT_EQ(client_.socket("out").unacknowledged, 5000U);
  }
  [[nodiscard]] std::string client_pod() { return cluster_.network().pod(1).path(); }

  void expect_end() {
    // The harness takes every rule that stands at the end for one of lockstep's.
    must_run({"nft", "delete table ip service"}, translating_);
    expect_good_end(cluster_, {&server_, &client_});
  }

  Cluster cluster_;
  HeldSockets server_, client_;
  std::string group_;
  std::string translating_ = client_pod();  ///< the namespace whose rules, and whose connection tracking, translate
};

/// The hub translates, as a node does with kube-proxy's rules.
class ServiceOnTheNode : public Service {
 protected:
  ServiceOnTheNode() {
    translating_ = cluster_.network().hub().path();
    must_run({"sh", "-c",
              "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/conf/all/send_redirects; "
              "echo 0 >/proc/sys/net/ipv4/conf/br0/send_redirects"},
             translating_);
    // Both pods are on its bridge: the way back would lead past the translation.
    must_run({"ip", "route", "add", Network::address4(1), "via", Network::hub_address()},
             cluster_.network().pod(0).path());
  }
};

TEST_P(Service, AConnectionThroughATranslatedDestinationGoesOn) {
  talk_through_the_service();
  for (int cycle = 0; cycle < 2; ++cycle) {
    expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
    restore();
  }
  expect_end();
}

TEST_P(Service, ItGoesOnWithBytesUnderWay) {
  talk_through_the_service();
  lose_acknowledgements();
  expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
  must_run({"nft", "delete table inet loss"}, client_pod());
  restore();
  expect_end();
}

/// By connection tracking: the counts of a connection that was restored with bytes under way don't fit any more.
TEST_P(Service, ItIsRecognisedAgainAfterThat) {
  talk_through_the_service();
  lose_acknowledgements();
  (void)dump_and_kill(cluster_, group_, {&server_, &client_});
  must_run({"nft", "delete table inet loss"}, client_pod());
  restore();
  expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
  restore();
  expect_end();
}

/// Nothing has gone through it that could be counted.
TEST_P(Service, AnIdleOneIsRecognisedToo) {
  connect_through_the_service();
  expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
  restore();
  expect_end();
}

TEST_P(Service, AConnectionWithATranslatedSourceIsAmbiguousAndClosed) {
  translate("{ type nat hook postrouting priority 100; }; add rule ip service translate tcp dport 7000 snat to " +
            Network::address4(1) + ":20000-20999");  // no port that a client gets by itself
  connect(client_, "out", Network::address4(0) + ":7000", server_, "in.1");
  expect_alive(client_, "out", server_, "in.1");
  ASSERT_NE(client_.socket("out").local, server_.socket("in.1").peer);
  const json dumped = dump_and_kill(cluster_, group_, {&server_, &client_});
  EXPECT_EQ(of_member(dumped, "client")["connections"]["ambiguous"], 1) << of_member(dumped, "client");
  const CommandResult graph = cluster_.lockstep({"connections", group_});
  EXPECT_EQ(graph.exit_code, 0) << graph.err;
  EXPECT_THAT(graph.out, HasSubstr("ambiguous"));
  const json restored = report_of(cluster_, {"restore", group_}, 0);
  EXPECT_EQ(of_member(restored, "client")["connections"]["closed"], 1);
  const auto closed = client_.await("out", has_failed, kAtOnce);
  EXPECT_EQ(closed->error, "ECONNABORTED") << *closed;
  EXPECT_TRUE(is_told(*server_.await("in.1", is_told, kAtOnce))) << server_.socket("in.1");
  expect_unlocked(cluster_);
  expect_end();
}

TEST_P(ServiceOnTheNode, AConnectionThroughATranslatedDestinationGoesOn) {
  talk_through_the_service();
  expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
  restore();
  expect_end();
}

/// The node's agent reads its table. Sidecars see their pods' tables alone, and have but the counts.
TEST_P(ServiceOnTheNode, ItIsRecognisedAgainAfterBytesUnderWayByTheNodesAgentAlone) {
  talk_through_the_service();
  lose_acknowledgements();
  expect_recognised(dump_and_kill(cluster_, group_, {&server_, &client_}));
  must_run({"nft", "delete table inet loss"}, client_pod());
  restore();
  const json again = dump_and_kill(cluster_, group_, {&server_, &client_});
  if (GetParam() == Agents::sidecars) {
    EXPECT_EQ(of_member(again, "client")["connections"]["ambiguous"], 1) << of_member(again, "client");
    return;
  }
  expect_recognised(again);
  restore();
  expect_end();
}

std::string agents_name(const ::testing::TestParamInfo<Agents>& info) {
  return info.param == Agents::node ? "NodeAgent" : "Sidecars";
}
INSTANTIATE_TEST_SUITE_P(Agents, Service, ::testing::Values(Agents::sidecars, Agents::node), agents_name);
INSTANTIATE_TEST_SUITE_P(Agents, ServiceOnTheNode, ::testing::Values(Agents::sidecars, Agents::node), agents_name);

}  // namespace
}  // namespace lockstep::e2e
