/// A daemon is killed in the middle of a round: nobody stays frozen or locked for longer than deadline and lease say,
/// nothing is committed by half, and the next round starts clean.
#include <signal.h>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

/// A server whose dump takes its time: the others wait for it, frozen, behind the lock.
constexpr TrafficOptions slow_traffic() {
  TrafficOptions options;
  options.rate = 2000;
  options.ballast_mib = 768;
  return options;
}

class Crash : public EndToEnd, public ::testing::WithParamInterface<Agents> {
 protected:
  /// Starts a checkpoint, and returns when its members are frozen behind locked pods.
  static Process checkpoint_up_to_the_lock(Cluster& cluster, const Traffic& traffic, const std::string& group,
                                           const std::vector<std::string>& options) {
    std::vector<std::string> command{program("lockstep"), "checkpoint", group};
    command.insert(command.end(), options.begin(), options.end());
    Process round = Process::start({.command = command, .log = cluster.dir() / "checkpoint.log"});
    const bool mid_round = wait_until(
        [&] { return state_of(traffic.pid_of("client0")) == 't' && cluster.locked(0) && cluster.locked(1); }, 10s);
    EXPECT_TRUE(mid_round) << "the round was never seen with its members frozen and locked";
    EXPECT_TRUE(round.running()) << "the round was over before anybody could be killed";
    return round;
  }

  /// Whatever came of the round: either no member has been committed, or all of them.
  static void expect_all_or_nothing(const Cluster& cluster, const Traffic& traffic) {
    std::set<bool> recorded;
    for (const std::string& member : traffic.members())
      recorded.insert(std::filesystem::exists(cluster.record_of(member)));
    EXPECT_EQ(recorded.size(), 1U) << "committed by half";
  }

  /// After an aborted round: all run, all packets flow, within the commit deadline and the lease of kShortBounds.
  static void expect_free_again(Cluster& cluster, const Traffic& traffic, Process& round) {
    const auto before = traffic.snapshot();
    const auto code = round.wait(25s);
    ASSERT_TRUE(code.has_value()) << "lockstep itself hangs";
    EXPECT_NE(*code, 0) << read_file(round.log());
    expect_all_or_nothing(cluster, traffic);
    expect_unlocked(cluster, 5s);
    EXPECT_THAT(traffic.await_flow(before, 15s), IsEmpty());
  }

  static void expect_next_round_clean(Cluster& cluster, const Traffic& traffic, const std::string& group) {
    ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
    ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
    expect_good_end(cluster, traffic);
  }
};

TEST_P(Crash, AgentKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {"--leave-running"});
  cluster.agent(0).kill();
  ASSERT_NO_FATAL_FAILURE(expect_free_again(cluster, traffic, round));
  cluster.start_agent(0);
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

TEST_P(Crash, BrokerKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {"--leave-running"});
  cluster.broker().kill();
  ASSERT_NO_FATAL_FAILURE(expect_free_again(cluster, traffic, round));
  cluster.start_broker();
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

/// With dump and kill, too, nobody may be killed whose round has not been committed.
TEST_P(Crash, BrokerKilledInARoundThatWouldHaveKilled) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  const std::vector<pid_t> pids = traffic.pids();
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {});
  cluster.broker().kill();
  ASSERT_NO_FATAL_FAILURE(expect_free_again(cluster, traffic, round));
  for (const pid_t pid : pids) EXPECT_TRUE(exists(pid)) << pid;
  cluster.start_broker();
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

/// A command line that is interrupted aborts its round, and takes its CRIUs with it.
TEST_P(Crash, CommandLineTerminatedInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {});
  round.signal(SIGTERM);
  ASSERT_NO_FATAL_FAILURE(expect_free_again(cluster, traffic, round));
  expect_next_round_clean(cluster, traffic, group);
}

TEST_P(Crash, CriuKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {});
  // The frozen client's tracer is its CRIU.
  const std::string status = read_file("/proc/" + std::to_string(traffic.pid_of("client0")) + "/status");
  const auto at = status.find("TracerPid:");
  ASSERT_NE(at, std::string::npos);
  const pid_t criu = std::atoi(status.c_str() + at + 10);
  ASSERT_GT(criu, 1);
  ::kill(criu, SIGKILL);
  ASSERT_NO_FATAL_FAILURE(expect_free_again(cluster, traffic, round));
  expect_next_round_clean(cluster, traffic, group);
}

INSTANTIATE_TEST_SUITE_P(Placements, Crash, ::testing::Values(Agents::sidecars, Agents::node),
                         [](const auto& each) { return each.param == Agents::node ? "NodeAgent" : "Sidecars"; });

}  // namespace
}  // namespace lockstep::e2e
