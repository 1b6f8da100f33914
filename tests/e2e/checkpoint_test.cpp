/// The main job: a group is dumped and restored as one, whatever its size and wherever its agents are.
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

struct Layout {
  const char* name;
  Agents agents;
  std::size_t members;
};

void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }

class Checkpoint : public EndToEnd, public ::testing::WithParamInterface<Layout> {
 protected:
  /// The server in pod 0, each client in a pod of its own. Five of them at full speed would only fight for the
  /// processors.
  [[nodiscard]] static TrafficOptions options() {
    TrafficOptions options;
    options.client_pods.clear();
    for (std::size_t pod = 1; pod < GetParam().members; ++pod) options.client_pods.push_back(pod);
    options.rate = GetParam().members > 2 ? 500 : 0;
    return options;
  }
};

TEST_P(Checkpoint, KilledAndRestoredTwiceEveryConnectionGoesOn) {
  Cluster cluster(GetParam().members, GetParam().agents);
  const Traffic traffic(cluster.dir(), cluster.network(), options());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  for (int cycle = 0; cycle < 2; ++cycle) {
    ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group)) << "cycle " << cycle;
    ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group)) << "cycle " << cycle;
  }
  expect_good_end(cluster, traffic);
}

TEST_P(Checkpoint, LeftRunningEveryConnectionGoesOn) {
  Cluster cluster(GetParam().members, GetParam().agents);
  const Traffic traffic(cluster.dir(), cluster.network(), options());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  const std::vector<pid_t> pids = traffic.pids();
  for (int cycle = 0; cycle < 3; ++cycle) {
    const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    expect_unlocked(cluster);
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty()) << "cycle " << cycle;
    EXPECT_EQ(traffic.pids(), pids);
  }
  for (const std::string& member : traffic.members()) {
    EXPECT_TRUE(std::filesystem::exists(cluster.record_of(member))) << member;
  }
  expect_good_end(cluster, traffic);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Checkpoint,
                         ::testing::Values(Layout{"TwoMembersSidecars", Agents::sidecars, 2},
                                           Layout{"TwoMembersNodeAgent", Agents::node, 2},
                                           Layout{"FiveMembersSidecars", Agents::sidecars, 5},
                                           Layout{"FiveMembersNodeAgent", Agents::node, 5}),
                         [](const auto& each) { return std::string(each.param.name); });

class CheckpointOnce : public EndToEnd {};

TEST_F(CheckpointOnce, TwoMembersInOnePodShareItsLock) {
  Cluster cluster(2, Agents::sidecars);
  // Server and first client talk through the pod's own loopback, the second client from outside.
  const Traffic traffic(cluster.dir(), cluster.network(), {.client_pods = {0, 1}, .rate = 2000});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(CheckpointOnce, MappedAddressesAreTheSameConnections) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.dual_stack = true});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(CheckpointOnce, RestoredIntoFreshPodsWithTheSameAddresses) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, cluster.write_group(traffic.group(), kShortBounds)));

  std::vector<GroupMember> members = traffic.group();
  for (std::size_t pod = 0; pod < 2; ++pod) {
    EXPECT_EQ(cluster.agent(pod).stop(), 0);
    cluster.network().replace_pod(pod);
    cluster.start_agent(pod);
    members[pod].pod = cluster.network().pod(pod).path();
  }
  cluster.wait_for_agents();
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, cluster.write_group(members, kShortBounds)));
  for (std::size_t pod = 0; pod < 2; ++pod) {
    const std::string link = "/proc/" + std::to_string(traffic.pids()[pod]) + "/ns/net";
    EXPECT_TRUE(std::filesystem::equivalent(link, cluster.network().pod(pod).path())) << "member " << pod;
  }
  expect_good_end(cluster, traffic);
}

TEST_F(CheckpointOnce, JsonOutputNamesRoundAndMembers) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running", "--output", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  const auto json = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << result.out;
  ASSERT_TRUE(json.contains("members")) << result.out;
  EXPECT_EQ(json["members"].size(), traffic.members().size());
  for (const std::string& member : traffic.members()) EXPECT_THAT(result.out, HasSubstr('"' + member + '"'));
  const CommandResult status = cluster.lockstep({"status", "--broker", cluster.broker_for_cli(), "--output", "json"});
  ASSERT_EQ(status.exit_code, 0) << status.err;
  EXPECT_FALSE(nlohmann::json::parse(status.out, nullptr, false).is_discarded()) << status.out;
  EXPECT_THAT(status.out, HasSubstr("\"e2e\""));
  expect_good_end(cluster, traffic);
}

}  // namespace
}  // namespace lockstep::e2e
