/// What a group, and a member, may want done with its external connections.
#include "tests/e2e/connections.hpp"

namespace lockstep::e2e {
namespace {

constexpr std::size_t kPeerPod = 2;

/// Two members with a connection between them, and two connections of each to a peer outside: to its ports 7100, 7101.
class Policy : public Connections {
 protected:
  Policy()
      : cluster_(3, Agents::node),
        api_(cluster_, "api", cluster_.network().pod(0)),
        store_(cluster_, "store", cluster_.network().pod(1)),
        peer_(cluster_, "peer", cluster_.network().pod(kPeerPod)) {
    store_.tell("listen in 7000");
    peer_.tell({"listen one 7100", "listen two 7101"});
    connect(api_, "inside", Network::address4(1) + ":7000", store_, "in.1");
    const std::string address = Network::address4(kPeerPod);
    connect(api_, "one", address + ":7100", peer_, "one.1");
    connect(api_, "two", address + ":7101", peer_, "two.1");
    connect(store_, "one", address + ":7100", peer_, "one.2");
    connect(store_, "two", address + ":7101", peer_, "two.2");
  }

  json kill_and_restore(const std::vector<GroupMember>& members, const std::string& settings) {
    const std::string group = cluster_.write_group(members, kShortBounds + settings);
    expect_counts(dump_and_kill(cluster_, group, {&api_, &store_}), "api", {{"internal", 1}, {"external", 2}});
    const json report = report_of(cluster_, {"restore", group}, 0);
    EXPECT_EQ(report["differences"], json::array());
    expect_unlocked(cluster_);
    expect_alive(api_, "inside", store_, "in.1");
    return report;
  }

  void expect_end() { expect_good_end(cluster_, {&api_, &store_, &peer_}); }

  Cluster cluster_;
  HeldSockets api_, store_, peer_;
};

TEST_F(Policy, KeptTheyGoOn) {
  const json report = kill_and_restore(group_of({&api_, &store_}), "external: keep\n");
  expect_alive(api_, "one", peer_, "one.1");
  expect_alive(api_, "two", peer_, "two.1");
  expect_alive(store_, "one", peer_, "one.2");
  expect_alive(store_, "two", peer_, "two.2");
  expect_counts(report, "api", {{"internal", 1}, {"external", 2}});
  expect_end();
}

TEST_F(Policy, RefusedTheCheckpointIsAbortedAndAllRunOn) {
  std::vector<GroupMember> members = group_of({&api_, &store_});
  members[1].settings = "external: refuse";
  const std::string group = cluster_.write_group(members, kShortBounds);
  const std::vector<pid_t> pids{api_.pid(), store_.pid()};
  const json report = report_of(cluster_, {"checkpoint", group}, 1);
  EXPECT_EQ(report["verdict"], "aborted");
  EXPECT_EQ(report["culprit"], "store");
  const std::string from = Network::address4(1);
  EXPECT_THAT(report["reason"].dump(),
              AllOf(HasSubstr("external connection " + from), HasSubstr(Network::address4(kPeerPod) + ":710")));
  EXPECT_EQ((std::vector<pid_t>{api_.pid(), store_.pid()}), pids);
  expect_unlocked(cluster_);
  expect_alive(api_, "inside", store_, "in.1");
  expect_alive(api_, "one", peer_, "one.1");
  expect_alive(store_, "two", peer_, "two.2");
  for (const HeldSockets* member : {&api_, &store_}) {
    EXPECT_FALSE(std::filesystem::exists(cluster_.record_of(member->id()))) << member->id();
  }
  expect_end();
}

TEST_F(Policy, AllowedByNetworkAndPortTheyGoOn) {
  const json report =
      kill_and_restore(group_of({&api_, &store_}), "external_allow: [\"10.78.0.0/24:7101\", \"fd78::/64\"]\n");
  expect_closed(api_, "one", peer_, "one.1");
  expect_closed(store_, "one", peer_, "one.2");
  expect_alive(api_, "two", peer_, "two.1");
  expect_alive(store_, "two", peer_, "two.2");
  expect_counts(report, "api", {{"internal", 1}, {"external", 2}, {"closed", 1}});
  expect_counts(report, "store", {{"internal", 1}, {"external", 2}, {"listening", 2}, {"closed", 1}});
  expect_end();
}

TEST_F(Policy, AMembersWordGoesBeforeItsGroups) {
  std::vector<GroupMember> members = group_of({&api_, &store_});
  members[0].settings = "external: close\nexternal_allow: [\"*:7101\"]";
  const json report = kill_and_restore(members, "external: keep\n");
  expect_closed(api_, "one", peer_, "one.1");
  expect_alive(api_, "two", peer_, "two.1");
  expect_alive(store_, "one", peer_, "one.2");
  expect_alive(store_, "two", peer_, "two.2");
  expect_counts(report, "api", {{"internal", 1}, {"external", 2}, {"closed", 1}});
  expect_counts(report, "store", {{"internal", 1}, {"external", 2}, {"listening", 2}});
  expect_end();
}

}  // namespace
}  // namespace lockstep::e2e
