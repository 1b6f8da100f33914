/// Three pods of members with connections among themselves, and two to somebody outside the group: the former go on,
/// the latter are closed by a restore, and by nothing else.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

constexpr std::size_t kWebPod = 1;
constexpr std::size_t kPeerPod = 3;
constexpr int kUnread = 5000;

/// lockstep-traffic in pods 0, 1 and 2 over IPv4 and IPv6, and "web", which has one connection to the outside that it
/// has opened (with data in it that it does not read), and one that it has accepted.
class External : public Connections {
 protected:
  External()
      : cluster_(4, Agents::sidecars),
        traffic_(cluster_.dir(), cluster_.network(), options()),
        web_(cluster_, "web", cluster_.network().pod(kWebPod)),
        peer_(cluster_, "peer", cluster_.network().pod(kPeerPod)) {
    web_.tell("listen in 7000");
    peer_.tell("listen far 7100");
    connect(web_, "out", Network::address4(kPeerPod) + ":7100", peer_, "far.1");
    connect(peer_, "asks", "[" + Network::address6(kWebPod) + "]:7000", web_, "in.1");
    expect_alive(peer_, "asks", web_, "in.1");
    web_.tell("read out off");
    peer_.tell("send far.1 " + std::to_string(kUnread));
    (void)web_.await("out", [](const HeldSocket& socket) { return socket.unread == kUnread; });
    std::vector<GroupMember> members = traffic_.group();
    members.push_back({.id = web_.id()});
    group_ = cluster_.write_group(members, kShortBounds);
  }

  static TrafficOptions options() {
    TrafficOptions options;
    options.client_pods = {1, 2};
    options.rate = 500;
    return options;
  }

  void expect_dump_counts(const json& report) const {
    const int of_client = options().connections * 2;
    expect_counts(report, "server", {{"internal", of_client * 2}, {"listening", 2}});
    expect_counts(report, "client0", {{"internal", of_client}});
    expect_counts(report, "client1", {{"internal", of_client}});
    expect_counts(report, "web", {{"external", 2}, {"listening", 2}});
    EXPECT_EQ(report["consistent"], true) << report["proof"];
    EXPECT_EQ(report["differences"], json::array());
  }

  void expect_end() {
    EXPECT_THAT(traffic_.finish(), IsEmpty());
    std::vector<pid_t> pids = traffic_.pids();
    pids.insert(pids.end(), {web_.pid(), peer_.pid()});
    expect_nothing_left(cluster_, pids);
  }

  Cluster cluster_;
  Traffic traffic_;
  HeldSockets web_, peer_;
  std::string group_;
};

TEST_F(External, KilledAndRestoredTheyAreClosedAndTheOthersGoOn) {
  std::vector<pid_t> pids = traffic_.pids();
  pids.push_back(web_.pid());
  const traffic::Snapshot before = traffic_.snapshot();
  expect_dump_counts(report_of(cluster_, {"checkpoint", group_}, 0));
  ASSERT_TRUE(traffic_.await_gone(pids));
  // Nobody has told the peer anything yet.
  EXPECT_EQ(peer_.socket("far.1").state, "open");
  EXPECT_EQ(peer_.socket("asks").state, "open");

  const json report = report_of(cluster_, {"restore", group_}, 0);
  expect_closed(web_, "out", peer_, "far.1");
  expect_closed(web_, "in.1", peer_, "asks");
  EXPECT_THAT(traffic_.await_flow(before), IsEmpty());
  expect_counts(report, "web", {{"external", 2}, {"listening", 2}, {"closed", 2}, {"discarded_bytes", kUnread}});
  expect_counts(report, "client0", {{"internal", options().connections * 2}});
  EXPECT_EQ(report["differences"], json::array());
  expect_unlocked(cluster_);

  // What listens, listens on.
  connect(peer_, "again", Network::address4(kWebPod) + ":7000", web_, "in.2");
  expect_alive(peer_, "again", web_, "in.2");
  expect_end();
}

TEST_F(External, LeftRunningTheyStayEstablished) {
  for (int cycle = 0; cycle < 2; ++cycle) {
    const traffic::Snapshot before = traffic_.snapshot();
    expect_dump_counts(report_of(cluster_, {"checkpoint", group_, "--leave-running"}, 0));
    EXPECT_THAT(traffic_.await_flow(before), IsEmpty());
    expect_alive(peer_, "asks", web_, "in.1");
    EXPECT_EQ(web_.socket("out").unread, kUnread);
  }
  web_.tell("read out on");
  expect_received(web_, "out", kUnread);
  expect_alive(peer_, "far.1", web_, "out");
  expect_unlocked(cluster_);
  expect_end();
}

}  // namespace
}  // namespace lockstep::e2e
