/// Podman's containers as members: real Podman, real runc, real CRIU; the hook is started by what runc's configuration
/// says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>

#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/reaper.hpp"
#include "tests/e2e/podman/shop.hpp"

namespace lockstep::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class PodmanTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    (void)Reaper::instance();
    remove_stale_namespaces();
  }
  void TearDown() override { Reaper::instance().end_all(); }

  static std::vector<ShopMember> two() { return {{"server", 0}, {"client0", 1}}; }

  static void checkpoint(const Shop& shop, const std::string& group) {
    const CommandResult result = shop.lockstep({"checkpoint", group});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("consistent")) << "the images are proved to be one cut";
    for (const ShopMember& member : shop.members()) EXPECT_FALSE(shop.cluster().runs(member.name)) << member.name;
  }

  static void restore(const Shop& shop, const std::string& group) {
    const traffic::Snapshot before = shop.snapshot();
    const CommandResult result = shop.lockstep({"restore", group});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, Not(HasSubstr("Not as it was saved"))) << "limits, files and clocks are";
    EXPECT_THAT(shop.await_flow(before), IsEmpty());
    expect_unlocked(shop);
  }

  static void expect_unlocked(const Shop& shop) {
    for (const ShopMember& member : shop.members()) {
      EXPECT_TRUE(wait_until([&] { return !shop.cluster().locked(member.pod); }, 10s))
          << "pod " << member.pod << " stays locked";
    }
  }
};

TEST_F(PodmanTest, KilledAndRestoredInPlaceTwiceEveryConnectionGoesOn) {
  const Shop shop(two());
  const std::string group = shop.write_group();
  for (int cycle = 0; cycle < 2; ++cycle) {
    ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group)) << "cycle " << cycle;
    ASSERT_NO_FATAL_FAILURE(restore(shop, group)) << "cycle " << cycle;
  }
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, LeftRunningEveryConnectionGoesOn) {
  const Shop shop(two());
  const std::string group = shop.write_group();
  const std::string pid = shop.cluster().pid_of("server");
  for (int cycle = 0; cycle < 2; ++cycle) {
    const CommandResult result = shop.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    expect_unlocked(shop);
    EXPECT_THAT(shop.await_flow(shop.snapshot()), IsEmpty()) << "cycle " << cycle;
  }
  EXPECT_EQ(shop.cluster().pid_of("server"), pid);
  const CommandResult graph = shop.lockstep({"connections", group});
  EXPECT_EQ(graph.exit_code, 0) << graph.err;
  EXPECT_THAT(graph.out, HasSubstr("internal"));
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, ExportedToArchivesAndRestoredFromThem) {
  const Shop shop({{"server", 0, "server.tar.zst"}, {"client0", 1, "client0.tar.gz"}});
  const std::string group = shop.write_group();
  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));

  const CommandResult early = shop.lockstep({"restore", group});
  EXPECT_EQ(early.exit_code, 2) << early.out;
  EXPECT_THAT(early.err, HasSubstr("podman rm server"));
  shop.podman().run({"rm", "server", "client0"});

  const CommandResult proof = shop.lockstep({"verify", shop.dir() / "server.tar.zst", shop.dir() / "client0.tar.gz"});
  EXPECT_EQ(proof.exit_code, 0) << proof.out << proof.err;

  ASSERT_EQ(shop.lockstep({"setup", "--undo", "--root", shop.cluster().machine_root()}).exit_code, 0);
  const CommandResult unhooked = shop.lockstep({"restore", group});
  EXPECT_EQ(unhooked.exit_code, 2) << unhooked.out;
  EXPECT_THAT(unhooked.err, HasSubstr("runc.conf is missing: its CRIU runs no hook"));
  shop.cluster().set_up_hook();
  ASSERT_NO_FATAL_FAILURE(restore(shop, group));
  EXPECT_TRUE(shop.cluster().runs("server"));
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, CommandsAtTheEndFindTheNewExport) {
  const Shop shop({{"server", 0, "server.tar.gz"}, {"client0", 1, "client0.tar.gz"}});
  const std::string group = shop.write_group();
  std::string text = read_file(group);
  const std::string member = "container: server,";
  const std::string dir = shop.dir().string() + "/";
  text.replace(text.find(member), member.size(),
               member + " commands: [{after: resume, run: \"cp " + dir + "server.tar.gz " + dir +
                   "sent; echo $LOCKSTEP_OUTCOME > " + dir + "said\"}],");
  write_file(group, text);
  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));
  EXPECT_EQ(read_file(shop.dir() / "said"), "committed\n");
  EXPECT_FALSE(read_file(shop.dir() / "sent").empty());
  EXPECT_EQ(read_file(shop.dir() / "sent"), read_file(shop.dir() / "server.tar.gz"));
}

TEST_F(PodmanTest, ExportedToFoldersWhichTheNextCheckpointReplaces) {
  const Shop shop({{"server", 0, "saved/server"}, {"client0", 1, "saved/client0/"}});
  const std::string group = shop.write_group();
  const std::filesystem::path saved = shop.dir() / "saved";
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(saved)) found.push_back(entry.path().filename());
    return found;
  };
  const auto restore_anew = [&] {
    EXPECT_THAT(names(), UnorderedElementsAre("server", "client0")) << "nothing temporary stays";
    const CommandResult proof = shop.lockstep({"verify", saved / "server", saved / "client0"});
    EXPECT_EQ(proof.exit_code, 0) << proof.out << proof.err;
    shop.podman().run({"rm", "server", "client0"});
    ASSERT_NO_FATAL_FAILURE(restore(shop, group));
    EXPECT_THAT(names(), UnorderedElementsAre("server", "client0")) << "nothing temporary stays";
  };
  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));
  const std::string record = read_file(saved / "server/checkpoint/lockstep.record");
  EXPECT_FALSE(record.empty());
  ASSERT_NO_FATAL_FAILURE(restore_anew());

  // One that fails leaves the older checkpoint, the next one takes its place.
  shop.podman().run({"stop", "--time", "0", PodmanCluster::agent(1)});
  const CommandResult failed = shop.lockstep({"checkpoint", shop.write_group("deadlines: {prepare: 3s, lock: 3s}\n")});
  EXPECT_EQ(failed.exit_code, 1) << failed.out << failed.err;
  EXPECT_EQ(read_file(saved / "server/checkpoint/lockstep.record"), record);
  EXPECT_THAT(names(), UnorderedElementsAre("server", "client0"));
  shop.podman().run({"start", PodmanCluster::agent(1)});
  (void)shop.write_group();

  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));
  EXPECT_NE(read_file(saved / "server/checkpoint/lockstep.record"), record);
  ASSERT_NO_FATAL_FAILURE(restore_anew());
  EXPECT_THAT(shop.lockstep({"connections", saved / "server", saved / "client0"}).out, HasSubstr("internal"));
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, TwoContainersOfOnePodShareItsLock) {
  // The server and the first client talk through the pod's own loopback, the second client from outside.
  const Shop shop({{"server", 0}, {"client0", 0}, {"client1", 1}});
  const std::string group = shop.write_group();
  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));
  ASSERT_NO_FATAL_FAILURE(restore(shop, group));
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, WhenOneCantBeDumpedAllRunOn) {
  const Shop shop(two());
  const std::string group = shop.write_group("deadlines: {prepare: 5s, lock: 5s, commit: 20s, finish: 5s}\n");
  shop.podman().run({"rm", "--force", "--time", "0", PodmanCluster::agent(1)});
  const CommandResult result = shop.lockstep({"checkpoint", group});
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_TRUE(shop.cluster().runs("server"));
  EXPECT_TRUE(shop.cluster().runs("client0"));
  EXPECT_THAT(shop.await_flow(shop.snapshot()), IsEmpty());
}

/// By the hands of somebody who has never heard of lockstep: both containers at the same time.
void by_hand(const Shop& shop, const std::string& operation, const std::vector<std::string>& options) {
  std::vector<std::future<CommandResult>> results;
  for (const ShopMember& member : shop.members()) {
    std::vector<std::string> words{"container", operation, "--tcp-established", "--keep"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(member.name);
    results.push_back(std::async(std::launch::async, [&shop, words] { return shop.podman().try_run(words); }));
  }
  for (auto& each : results) {
    const CommandResult result = each.get();
    EXPECT_EQ(result.exit_code, 0) << operation << ": " << result.out << result.err;
  }
}

TEST_F(PodmanTest, AStandingGroupIsCheckpointedAndRestoredByPodmanAlone) {
  const Shop shop(two());
  const std::string server = shop.podman().field("server", "{{.Id}}").substr(0, 12);
  const std::string pod = shop.podman().run({"pod", "inspect", PodmanCluster::pod(1), "--format", "{{.Id}}"});
  write_file(shop.cluster().standing_groups(),
             "groups:\n"
             "  - group: shop\n"
             "    deadlines: {prepare: 20s}\n"
             "    members: [{id: server, container: " +
                 server + "}, {id: client0, pod_uid: " + pod + "}]\n");
  const auto broker_knows = [&] {
    const CommandResult log = shop.podman().try_run({"logs", "broker"});
    return (log.out + log.err).find("rounds of 1 groups") != std::string::npos;
  };
  ASSERT_TRUE(wait_until(broker_knows, 15s));

  ASSERT_NO_FATAL_FAILURE(by_hand(shop, "checkpoint", {}));
  for (const ShopMember& member : shop.members()) EXPECT_FALSE(shop.cluster().runs(member.name)) << member.name;
  const traffic::Snapshot before = shop.snapshot();
  ASSERT_NO_FATAL_FAILURE(by_hand(shop, "restore", {}));
  EXPECT_THAT(shop.await_flow(before), IsEmpty());
  expect_unlocked(shop);
  ASSERT_NO_FATAL_FAILURE(by_hand(shop, "checkpoint", {"--leave-running"}));
  expect_unlocked(shop);
  EXPECT_THAT(shop.await_flow(shop.snapshot()), IsEmpty());

  const CommandResult history =
      shop.lockstep({"history", "--broker", PodmanCluster::broker_address(), "--key", shop.cluster().operator_key()});
  EXPECT_THAT(history.out, AllOf(HasSubstr("hook-"), HasSubstr("complete"), Not(HasSubstr("aborted")))) << history.err;
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, WithoutTheHookInItsRuntimesConfigurationNoContainerIsTouched) {
  const Shop shop(two());
  const std::string group = shop.write_group();
  const std::vector<std::string> undo{"setup", "--undo", "--root", shop.cluster().machine_root()};
  ASSERT_EQ(shop.lockstep(undo).exit_code, 0);
  const CommandResult dump = shop.lockstep({"checkpoint", group});
  EXPECT_EQ(dump.exit_code, 2) << dump.out << dump.err;
  EXPECT_THAT(dump.err, HasSubstr("runc.conf is missing: its CRIU runs no hook"));
  EXPECT_THAT(dump.err, HasSubstr("lockstep setup --runtime runc"));
  EXPECT_EQ(shop.lockstep({"preflight", group}).exit_code, 1);
  EXPECT_THAT(shop.await_flow(shop.snapshot()), IsEmpty());

  shop.cluster().set_up_hook();
  ASSERT_NO_FATAL_FAILURE(checkpoint(shop, group));
  ASSERT_EQ(shop.lockstep(undo).exit_code, 0);
  const CommandResult early = shop.lockstep({"restore", group});
  EXPECT_EQ(early.exit_code, 2) << early.out << early.err;
  EXPECT_THAT(early.err, HasSubstr("runc.conf is missing: its CRIU runs no hook"));
  EXPECT_FALSE(shop.cluster().runs("server"));
  shop.cluster().set_up_hook();
  ASSERT_NO_FATAL_FAILURE(restore(shop, group));
  EXPECT_THAT(shop.finish(), IsEmpty());
}

TEST_F(PodmanTest, TriedAgainWhenAConnectionHadNotBeenAccepted) {
  PodmanCluster cluster(1, {program("lockstep-sockets")});
  const std::filesystem::path state = cluster.dir() / "state";
  write_file(state / "commands", "listen in 7000\naccept in off\n");
  cluster.start_member(0, "server", {"--volume", state.string() + ":/state"},
                       {program("lockstep-sockets"), "--commands", "/state/commands", "--status", "/state/status.json",
                        "--pidfile", "/state/pid"});
  const auto says = [&](const std::string& words) {
    return wait_until([&] { return read_file(state / "status.json").find(words) != std::string::npos; }, 10s);
  };
  ASSERT_TRUE(says("\"obeyed\":2")) << read_file(state / "status.json");
  const Process stranger = Process::start(
      {.command = {"/bin/bash", "-c",
                   "exec 3<>/dev/tcp/" + PodmanCluster::address(0) + "/7000; echo there; exec sleep 1000"},
       .log = cluster.dir() / "stranger.log",
       .netns = cluster.podman().host_netns()});
  ASSERT_TRUE(wait_until([&] { return read_file(stranger.log()) == "there\n"; }, 5s)) << read_file(stranger.log());

  const std::string group = cluster.dir() / "group.yaml";
  write_file(group,
             cluster.group_header("held") + "in_flight_retries: 50\nmembers: [{id: server, container: server}]\n");
  const std::string out = cluster.dir() / "report.json";
  const Process checkpoint = Process::start(
      {.command = {"/bin/bash", "-c",
                   "exec " + program("lockstep") + " checkpoint " + group + " --leave-running --output json > " + out},
       .log = cluster.dir() / "checkpoint.log",
       .netns = cluster.podman().host_netns()});
  const auto tries_again = [&] { return read_file(checkpoint.log()).find("Trying again") != std::string::npos; };
  ASSERT_TRUE(wait_until(tries_again, 20s)) << read_file(checkpoint.log()) << read_file(out);
  write_file(state / "commands", "listen in 7000\naccept in off\naccept in on\n");
  EXPECT_EQ(checkpoint.wait(60s), 0) << read_file(checkpoint.log()) << read_file(out);
  EXPECT_TRUE(says("\"in.1\"")) << "nobody has accepted it: " << read_file(state / "status.json");
  const auto report = nlohmann::json::parse(read_file(out), nullptr, false);
  ASSERT_FALSE(report.is_discarded()) << read_file(out);
  ASSERT_GE(report["attempts"].size(), 2U);
  const auto& found = report["attempts"][0]["in_flight"][0];
  EXPECT_EQ(found["member"], "server");
  EXPECT_EQ(found["listener"], "*:7000");
  EXPECT_EQ(std::to_string(found["pid"].get<int>()), cluster.pid_of("server"));
  EXPECT_EQ(report["skip_in_flight_used"], false);
  EXPECT_TRUE(wait_until([&] { return !cluster.locked(0); }, 10s));
}

TEST_F(PodmanTest, DoctorKnowsWhetherARoundWouldWork) {
  const Shop shop(two());
  const std::vector<std::string> doctor{"doctor",
                                        "--root",
                                        shop.cluster().machine_root(),
                                        "--socket-dir",
                                        shop.dir() / "run",
                                        "--broker",
                                        PodmanCluster::broker_address(),
                                        "--key",
                                        shop.cluster().operator_key()};
  const CommandResult well = shop.lockstep(doctor);
  EXPECT_EQ(well.exit_code, 0) << well.out << well.err;
  EXPECT_THAT(well.out, HasSubstr("a process with an established TCP connection was dumped"));
  EXPECT_THAT(well.out, HasSubstr("CRIU runs it, and it reaches an agent and the broker"));

  for (const std::size_t index : {0, 1})
    shop.podman().run({"rm", "--force", "--time", "0", PodmanCluster::agent(index)});
  const CommandResult ill = shop.lockstep(doctor);
  EXPECT_EQ(ill.exit_code, 1) << ill.out << ill.err;
  EXPECT_THAT(ill.out, HasSubstr("none listens in"));
  EXPECT_THAT(ill.out, HasSubstr("CRIU runs it, and it says: pre-dump: no agent listens"));
  EXPECT_EQ(shop.lockstep({"setup", "--undo", "--root", shop.cluster().machine_root()}).exit_code, 0);
  EXPECT_THAT(shop.lockstep(doctor).out, HasSubstr("lockstep setup --runtime runc"));
}

}  // namespace
}  // namespace lockstep::e2e
