/// Who may do what, with real daemons on a network that asks for keys: rounds that are encrypted from end to end, and
/// what becomes of peers that have no key, a wrong one, one of another node, or one that has just been revoked.
#include <linux/capability.h>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class Access : public EndToEnd {
 protected:
  /// The command line in the hub, where the broker's network can be reached.
  static CommandResult over_network(const Cluster& cluster, std::vector<std::string> arguments,
                                    const std::string& key) {
    std::vector<std::string> command{program("lockstep")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    if (!key.empty()) command.insert(command.end(), {"--key", key});
    return run_command(command, 60s, const_cast<Cluster&>(cluster).network().hub().path());
  }
  static CommandResult status(const Cluster& cluster, const std::string& key) {
    return over_network(cluster, {"status", "--broker", Cluster::broker_on_network()}, key);
  }
  /// A group file whose broker is the one on the network.
  static std::string group_over_network(const Cluster& cluster, const Traffic& traffic, const std::string& more = {}) {
    const std::string path = cluster.write_group(traffic.group(), kShortBounds + more);
    std::string text = read_file(path);
    const std::string local = "broker: " + cluster.broker_for_cli() + "\n";
    text.replace(text.find(local), local.size(), "broker: " + Cluster::broker_on_network() + "\n");
    write_file(path, text);
    return path;
  }
  /// A counter of `lockstep status`, as root sees it.
  static int counter(const Cluster& cluster, const std::string& name) {
    const std::string json = cluster.lockstep({"status", "--broker", cluster.broker_for_cli(), "--output", "json"}).out;
    const std::size_t at = json.find('"' + name + "\": ");
    return at == std::string::npos ? -1 : std::stoi(json.substr(at + name.size() + 4));
  }
  static std::string broker_log(const Cluster& cluster) { return read_file(cluster.dir() / "broker.log"); }
  static bool revoke(const Cluster& cluster, const std::string& name) {
    return cluster.lockstep({"keys", "revoke", name, "--keys", cluster.keys()}).exit_code == 0;
  }
};

TEST_F(Access, AWholeRoundWithKeysAlone) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string key = cluster.add_key("op", {"--role", "operator"});
  const std::string group = group_over_network(cluster, traffic, "key: keys/op.key\n");
  const traffic::Snapshot before = traffic.snapshot();
  const std::vector<pid_t> pids = traffic.pids();
  const CommandResult checkpoint = over_network(cluster, {"checkpoint", group}, {});
  ASSERT_EQ(checkpoint.exit_code, 0) << checkpoint.out << checkpoint.err;
  ASSERT_TRUE(traffic.await_gone(pids));
  const CommandResult restored = over_network(cluster, {"restore", group}, key);
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_THAT(traffic.await_flow(before), IsEmpty());
  EXPECT_EQ(counter(cluster, "forbidden"), 0);
  expect_good_end(cluster, traffic);
}

TEST_F(Access, AWholeRoundThroughRelaysWithKeysAlone) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string key = cluster.add_key("op", {"--role", "operator"});
  const std::string group = group_over_network(cluster, traffic);
  std::filesystem::create_directories(cluster.dir() / "empty");
  std::string text = read_file(group);
  const std::string agents = "socket_dir: " + (cluster.dir() / "run").string() + "\n";
  text.replace(text.find(agents), agents.size(), "socket_dir: empty\n");
  write_file(group, text);
  // CRIU's hooks find neither an agent nor a default key; which one their relays have, their environment says.
  const auto checkpoint = [&](const std::string& agent_key) {
    return run_command({"env", "LOCKSTEP_AGENT_KEY=" + agent_key, program("lockstep"), "checkpoint", group,
                        "--leave-running", "--key", key},
                       60s, cluster.network().hub().path());
  };
  const CommandResult wrong = checkpoint(key);
  EXPECT_EQ(wrong.exit_code, 1) << wrong.out << wrong.err;
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  const CommandResult right = checkpoint(cluster.keys() / "agent.key");
  EXPECT_EQ(right.exit_code, 0) << right.out << right.err;
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_good_end(cluster, traffic);
}

TEST_F(Access, WithoutAKeyOrWithAWrongOneNobodyGetsIn) {
  Cluster cluster(1, Agents::sidecars);
  const CommandResult none = status(cluster, {});
  EXPECT_EQ(none.exit_code, 2) << none.out << none.err;
  EXPECT_THAT(none.err, HasSubstr("lockstep keys add"));

  const CommandResult plain = status(cluster, "none");  // spoken to as if there were no keys
  EXPECT_EQ(plain.exit_code, 2) << plain.out << plain.err;

  const std::string never = cluster.add_key("never", {"--role", "operator"});
  ASSERT_TRUE(revoke(cluster, "never"));
  const CommandResult revoked = status(cluster, never);
  EXPECT_EQ(revoked.exit_code, 1) << revoked.out << revoked.err;
  EXPECT_THAT(revoked.err, HasSubstr("does not accept the key never"));

  // Of another broker: a folder of its own, and a key that is good there.
  const std::string elsewhere = cluster.dir() / "elsewhere";
  must_run({program("lockstep"), "keys", "init", "--keys", elsewhere});
  must_run({program("lockstep"), "keys", "add", "stranger", "--role", "operator", "--keys", elsewhere});
  const CommandResult stranger = status(cluster, elsewhere + "/stranger.key");
  EXPECT_EQ(stranger.exit_code, 3) << stranger.out << stranger.err;
  EXPECT_THAT(stranger.err, HasSubstr("stranger"));

  const std::string open = cluster.add_key("open", {"--role", "observer"});
  std::filesystem::permissions(open, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(status(cluster, open).err, HasSubstr("chmod 600"));

  EXPECT_THAT(broker_log(cluster),
              AllOf(HasSubstr("turned away: key never (revoked)"), HasSubstr("made for another broker")));
  EXPECT_GE(counter(cluster, "unauthenticated"), 2);
  EXPECT_EQ(status(cluster, cluster.add_key("reader", {"--role", "observer"})).exit_code, 0);
  expect_nothing_left(cluster, {});
}

TEST_F(Access, AnObserverReadsAndCantAbort) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.rate = 2000, .ballast_mib = 512});
  const std::string observer = cluster.add_key("watcher", {"--role", "observer"});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  const Process round = Process::start(
      {.command = {program("lockstep"), "checkpoint", group, "--leave-running"}, .log = cluster.dir() / "round.log"});
  ASSERT_TRUE(wait_until([&] { return cluster.locked(0) && cluster.locked(1); }, 10s));
  const std::string json =
      over_network(cluster, {"status", "--output", "json", "--broker", Cluster::broker_on_network()}, observer).out;
  const std::size_t at = json.find("\"round\": \"");
  ASSERT_NE(at, std::string::npos) << json;
  const std::string id = json.substr(at + 10, json.find('"', at + 10) - at - 10);
  const CommandResult abort = over_network(cluster, {"abort", id, "--broker", Cluster::broker_on_network()}, observer);
  EXPECT_EQ(abort.exit_code, 1) << abort.out << abort.err;
  EXPECT_THAT(abort.err, HasSubstr("key watcher is an observer's"));
  EXPECT_EQ(round.wait(30s), 0) << read_file(round.log());
  EXPECT_EQ(counter(cluster, "forbidden"), 1);
  EXPECT_THAT(broker_log(cluster), HasSubstr("forbidden AbortRound: key watcher"));
  const CommandResult checkpoint =
      over_network(cluster, {"checkpoint", group_over_network(cluster, traffic)}, observer);
  EXPECT_EQ(checkpoint.exit_code, 1) << checkpoint.out << checkpoint.err;
  EXPECT_THAT(checkpoint.err, HasSubstr("watcher"));
  expect_good_end(cluster, traffic);
}

TEST_F(Access, AnAgentCantClaimAnotherNodesPod) {
  Cluster cluster(2, Agents::sidecars);
  cluster.agent(1).stop();
  // All pods of this test are on one machine: to the broker that is the node `e2e`, and no other one's.
  const std::string thief = cluster.add_key("thief", {"--role", "agent", "--node", "elsewhere"});
  write_file(cluster.dir() / "thief.yaml", "broker: " + Cluster::broker_on_network() + "\nkey: " + thief +
                                               "\nname: thief\nsocket_dir: " + (cluster.dir() / "run").string() + "\n");
  Process agent = Process::start({.command = {program("lockstep-agent"), "--config", cluster.dir() / "thief.yaml"},
                                  .log = cluster.dir() / "thief.log",
                                  .netns = cluster.network().pod(1).path()});
  EXPECT_TRUE(wait_until(
      [&] {
        return read_file(cluster.dir() / "thief.log").find("claimed by the key of node e2e") != std::string::npos;
      },
      10s))
      << read_file(cluster.dir() / "thief.log");
  EXPECT_THAT(broker_log(cluster), HasSubstr("forbidden Hello: key thief is of node elsewhere"));
  EXPECT_GE(counter(cluster, "forbidden"), 1);
  const std::string agents = cluster.lockstep({"status", "--broker", cluster.broker_for_cli(), "--output", "json"}).out;
  EXPECT_EQ(agents.find("\"thief\""), std::string::npos) << agents;
  agent.stop();
  cluster.start_agent(1);
  cluster.wait_for_agents();
  expect_nothing_left(cluster, {});
}

/// The agents' key is revoked while both pods are locked: the round aborts at once, and agents that are told nothing
/// but refusals open their pods.
TEST_F(Access, AKeyThatIsRevokedInTheMiddleOfARoundEndsIt) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::vector<pid_t> pids = traffic.pids();
  // Before the commit everybody waits for this command, however fast CRIU is.
  const std::string holding = cluster.dir() / "holding";
  std::vector<GroupMember> members = traffic.group();
  members.front().settings += "commands:\n  - {at: frozen, run: \"touch " + holding + "; sleep 15\"}\n";
  const std::string held = cluster.write_group(members, kShortBounds);
  const Process round =
      Process::start({.command = {program("lockstep"), "checkpoint", held}, .log = cluster.dir() / "round.log"});
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(holding); }, 15s)) << read_file(round.log());
  EXPECT_TRUE(cluster.locked(0) && cluster.locked(1));
  const traffic::Snapshot before = traffic.snapshot();
  ASSERT_TRUE(revoke(cluster, "agent"));
  EXPECT_EQ(round.wait(20s), 1) << read_file(round.log());
  EXPECT_THAT(read_file(round.log()), HasSubstr("has lost its key"));
  EXPECT_EQ(traffic.pids(), pids);
  expect_unlocked(cluster, kLeaseIsOver);
  EXPECT_THAT(traffic.await_flow(before, 15s), IsEmpty());
  EXPECT_GE(counter(cluster, "forbidden"), 1);
  EXPECT_THAT(broker_log(cluster), HasSubstr("key agent (revoked) is not in the broker's allow-list any more"));
  // With a new key and agents that have been started with it the next round succeeds.
  std::filesystem::remove(cluster.keys() / "agent.key");
  cluster.add_key("agent", {"--role", "agent", "--node", "e2e"});
  for (std::size_t pod = 0; pod < 2; ++pod) {
    cluster.agent(pod).stop();
    cluster.start_agent(pod);
  }
  cluster.wait_for_agents();
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

/// Nobody but root, the socket's owner, and who is in its group.
TEST_F(Access, AUserOfTheMachineCantUseTheSocket) {
  Cluster cluster(1, Agents::sidecars);
  // The build may lie where nobody else can enter, as below /root.
  const TempDir open;
  const std::string copy = open.path() / "lockstep";
  std::filesystem::permissions(open.path(), std::filesystem::perms{0755});
  std::filesystem::copy_file(program("lockstep"), copy);
  std::filesystem::permissions(copy, std::filesystem::perms{0755});
  const auto as_nobody = [&](const std::string& broker) {
    CommandResult result = run_command(
        {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "status", "--broker", broker}, 20s);
    EXPECT_THAT(result.err, ::testing::Not(HasSubstr("failed to execute")));
    return result;
  };
  EXPECT_NE(as_nobody(cluster.broker_for_cli()).exit_code, 0);
  // Even where the modes have been opened by mistake.
  for (const auto& path : {cluster.dir(), cluster.dir() / "run", cluster.dir() / "run/broker"}) {
    std::filesystem::permissions(path, std::filesystem::perms::others_all, std::filesystem::perm_options::add);
  }
  const CommandResult refused = as_nobody(cluster.broker_for_cli());
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("does not accept this user"));
  EXPECT_THAT(broker_log(cluster), HasSubstr("turned away: user 65534 of this machine"));
  EXPECT_GE(counter(cluster, "unauthenticated"), 1);
  std::filesystem::permissions(cluster.dir(), std::filesystem::perms::owner_all);
  expect_nothing_left(cluster, {});
}

std::uint64_t capabilities(pid_t pid, const std::string& set) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = text.find(set + ":\t");
  return at == std::string::npos ? ~std::uint64_t{0} : std::stoull(text.substr(at + set.size() + 2), nullptr, 16);
}

constexpr std::uint64_t bit(int capability) { return std::uint64_t{1} << capability; }

/// Of all threads: libzmq's, too, are made after the rest has been dropped.
void expect_capabilities(pid_t pid, std::uint64_t expected) {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    const pid_t id = std::stoi(thread.path().filename());
    for (const std::string set : {"CapEff", "CapPrm", "CapBnd"}) EXPECT_EQ(capabilities(id, set), expected) << set;
    for (const std::string set : {"CapInh", "CapAmb"}) EXPECT_EQ(capabilities(id, set), 0U) << set;
    EXPECT_THAT(read_file("/proc/" + std::to_string(id) + "/status"), HasSubstr("NoNewPrivs:\t1"));
  }
}

TEST_F(Access, DaemonsKeepTheCapabilitiesThatTheyWorkWith) {
  {
    Cluster cluster(1, Agents::sidecars);
    expect_capabilities(cluster.broker().pid(), 0);
    expect_capabilities(cluster.agent(0).pid(), bit(CAP_NET_ADMIN));
    expect_nothing_left(cluster, {});
  }
  Cluster cluster(1, Agents::node);
  // NET_RAW: which lock a pod will get is not known before there is one.
  expect_capabilities(cluster.agent(0).pid(),
                      bit(CAP_NET_ADMIN) | bit(CAP_NET_RAW) | bit(CAP_SYS_ADMIN) | bit(CAP_SYS_PTRACE));
  expect_nothing_left(cluster, {});
}

}  // namespace
}  // namespace lockstep::e2e
