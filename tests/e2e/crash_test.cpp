/// A daemon is killed in the middle of a round: nobody stays frozen or locked for longer than deadline and lease say,
/// nothing is committed by half, and the next round starts clean.
#include <signal.h>

#include "schemas/messages.hpp"
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

/// The process that traces (and thereby freezes) `pid`: its CRIU; 0 when nobody does.
pid_t tracer_of(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::string key = "TracerPid:";
  const auto at = status.find(key);
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + key.size());
}

int resident_mib(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::string key = "VmRSS:";
  const auto at = status.find(key);
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + key.size()) / 1024;
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

  /// Whatever came of the round: all members have been committed, or none, and lockstep's exit code says which. An
  /// unreachable broker leaves it open: then the records alone tell.
  static void expect_all_or_nothing(const Cluster& cluster, const Traffic& traffic, int exit_code) {
    std::set<bool> recorded;
    for (const std::string& member : traffic.members()) {
      recorded.insert(std::filesystem::exists(cluster.record_of(member)));
    }
    EXPECT_EQ(recorded.size(), 1U) << "committed by half";
    if (exit_code == 0 || exit_code == 1) {
      EXPECT_TRUE(recorded.contains(exit_code == 0));
    }
  }

  /// All members run and all packets flow again, within the commit deadline and the lease of kShortBounds. Returns
  /// lockstep's exit code.
  static int expect_free_again(Cluster& cluster, const Traffic& traffic, Process& round) {
    const auto before = traffic.snapshot();
    const auto code = round.wait(25s);
    EXPECT_TRUE(code.has_value()) << "lockstep itself hangs";
    expect_all_or_nothing(cluster, traffic, code.value_or(-1));
    expect_unlocked(cluster, kLeaseIsOver);
    EXPECT_THAT(traffic.await_flow(before, 15s), IsEmpty()) << read_file(round.log());
    return code.value_or(-1);
  }

  static void expect_next_round_clean(Cluster& cluster, const Traffic& traffic, const std::string& group) {
    ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
    ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
    expect_good_end(cluster, traffic);
  }
};

/// A hook finds its way to the broker without its agent, so the round may still commit, as a whole. The lock that
/// nobody renews or takes away opens by itself.
TEST_P(Crash, AgentKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {"--leave-running"});
  cluster.agent(0).kill();
  (void)expect_free_again(cluster, traffic, round);
  cluster.start_agent(0);
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

TEST_P(Crash, AgentHangsInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {"--leave-running"});
  cluster.agent(0).signal(SIGSTOP);
  (void)expect_free_again(cluster, traffic, round);
  cluster.agent(0).signal(SIGCONT);
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

TEST_P(Crash, BrokerKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {"--leave-running"});
  cluster.broker().kill();
  cluster.start_broker();
  EXPECT_NE(expect_free_again(cluster, traffic, round), 0);
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

/// Who has voted does not know what the broker has decided, and holds until a broker tells. The others fail at once.
TEST_P(Crash, AVoteOutlivesItsBroker) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {});
  // The record is stored before the vote, and the vote goes out within moments.
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(cluster.images_of("client0") / kRecordPartFile); }, 10s));
  std::this_thread::sleep_for(50ms);
  cluster.broker().kill();
  std::this_thread::sleep_for(13s);  // longer than the lease
  EXPECT_EQ(state_of(traffic.pid_of("client0")), 't');
  EXPECT_TRUE(cluster.locked(1)) << "its agent renews the lock as long as the vote is out";
  cluster.start_broker();
  EXPECT_NE(expect_free_again(cluster, traffic, round), 0);
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
  cluster.start_broker();
  EXPECT_NE(expect_free_again(cluster, traffic, round), 0);
  for (const pid_t pid : pids) EXPECT_TRUE(exists(pid)) << pid;
  cluster.wait_for_agents();
  expect_next_round_clean(cluster, traffic, group);
}

/// A command line that is interrupted aborts its round, and waits for its CRIUs.
TEST_P(Crash, CommandLineTerminatedInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  Process round = checkpoint_up_to_the_lock(cluster, traffic, group, {});
  round.signal(SIGTERM);
  EXPECT_NE(expect_free_again(cluster, traffic, round), 0);
  expect_next_round_clean(cluster, traffic, group);
}

/// The killed CRIU is that of a member without connections: one that dies amid sockets leaves them in repair mode, and
/// nobody can mend that from outside.
TEST_P(Crash, CriuKilledInTheMiddleOfARound) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const Process bystander = Process::start({.command = {"sleep", "600"},
                                            .log = cluster.dir() / "bystander.log",
                                            .netns = cluster.network().pod(1).path(),
                                            .dies_with_test = false});
  write_file(cluster.dir() / "bystander.pid", std::to_string(bystander.pid()) + "\n");
  std::vector<GroupMember> members = traffic.group();
  members.push_back({.id = "bystander"});
  Process round = checkpoint_up_to_the_lock(cluster, traffic, cluster.write_group(members, kShortBounds), {});
  const pid_t criu = tracer_of(bystander.pid());
  ASSERT_GT(criu, 1) << "the bystander is not frozen";
  ::kill(criu, SIGKILL);
  EXPECT_EQ(expect_free_again(cluster, traffic, round), 1);
  EXPECT_THAT(read_file(round.log()), HasSubstr("bystander"));
  EXPECT_TRUE(bystander.running());
  expect_next_round_clean(cluster, traffic, cluster.write_group(traffic.group(), kShortBounds));
}

/// Between two hooks nobody waits for an answer, and here nobody waits for CRIU either: its agent sees it end.
TEST_P(Crash, CriuKilledBetweenTwoHooks) {
  Cluster cluster(2, GetParam());
  const Traffic traffic(cluster.dir(), cluster.network(), slow_traffic());
  const Process bystander = Process::start({.command = {"perl", "-e", "$x = 'x' x 600_000_000; sleep 600"},
                                            .log = cluster.dir() / "bystander.log",
                                            .netns = cluster.network().pod(1).path(),
                                            .dies_with_test = false});
  ASSERT_TRUE(wait_until([&] { return resident_mib(bystander.pid()) >= 550; }, 10s));
  write_file(cluster.dir() / "bystander.pid", std::to_string(bystander.pid()) + "\n");
  std::vector<GroupMember> members = traffic.group();
  members.push_back({.id = "bystander"});
  Process round = checkpoint_up_to_the_lock(cluster, traffic, cluster.write_group(members, kShortBounds), {});
  round.signal(SIGSTOP);
  const pid_t criu = tracer_of(bystander.pid());
  ASSERT_GT(criu, 1) << "the bystander is not frozen";
  ASSERT_FALSE(std::filesystem::exists(cluster.images_of("bystander") / kRecordPartFile)) << "its dump is over already";
  ::kill(criu, SIGKILL);
  const auto aborted = [&] {
    const std::string status = cluster.lockstep({"status", "--broker", cluster.broker_for_cli()}).out;
    return status.find("CRIU has ended before the decision") != std::string::npos;
  };
  EXPECT_TRUE(wait_until(aborted, 2s)) << "the commit's deadline is ten times as long";
  round.signal(SIGCONT);
  // What becomes of the bystander itself is not lockstep's: a CRIU that is killed may leave its own code in the task.
  EXPECT_EQ(expect_free_again(cluster, traffic, round), 1);
  expect_next_round_clean(cluster, traffic, cluster.write_group(traffic.group(), kShortBounds));
}

INSTANTIATE_TEST_SUITE_P(Placements, Crash, ::testing::Values(Agents::sidecars, Agents::node),
                         [](const auto& each) { return each.param == Agents::node ? "NodeAgent" : "Sidecars"; });

}  // namespace
}  // namespace lockstep::e2e
