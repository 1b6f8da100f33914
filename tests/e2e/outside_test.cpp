/// Rounds that nobody opens: CRIU is started by hand for each member, with the hook as its action script, and the
/// broker finds out what belongs together: by its standing groups, or by the files of criu-coordinator.
#include <fcntl.h>
#include <signal.h>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

constexpr const char* kStandingGroup =
    "groups:\n"
    "  - group: shop\n"
    "    deadlines: {prepare: 3s, lock: 5s, commit: 20s, finish: 5s}\n"
    "    lease: 12s\n"
    "    members: [{id: server}, {id: client0}]\n";

class Outside : public EndToEnd {
 protected:
  Outside() { std::filesystem::create_directories(extra_.path() / "etc"); }

  /// Further lines of broker.yaml.
  [[nodiscard]] std::string with_groups(const std::string& yaml) const {
    write_file(extra_.path() / "groups.yaml", yaml);
    return "groups: " + (extra_.path() / "groups.yaml").string() + "\n";
  }
  [[nodiscard]] std::filesystem::path common_file() const { return extra_.path() / "etc/criu-coordinator.json"; }

  static void make_folders(const Cluster& cluster, const Traffic& traffic) {
    for (const std::string& member : traffic.members()) std::filesystem::create_directories(cluster.images_of(member));
  }
  static void name_members(const Cluster& cluster, const Traffic& traffic) {
    for (const std::string& member : traffic.members()) {
      write_file(cluster.images_of(member) / "lockstep.member", "group: shop\nmember: " + member + "\n");
    }
  }

  [[nodiscard]] std::vector<std::string> criu(const Cluster& cluster, const std::string& operation,
                                              const std::filesystem::path& images,
                                              const std::vector<std::string>& options) const {
    std::vector<std::string> command{"env",
                                     "LOCKSTEP_SOCKET_DIR=" + (cluster.dir() / "run").string(),
                                     "LOCKSTEP_COORDINATOR_CONFIG=" + common_file().string(),
                                     criu_path(),
                                     operation,
                                     "--images-dir",
                                     images,
                                     "--log-file",
                                     operation + ".log",
                                     "-v2",
                                     "--tcp-established",
                                     "--action-script",
                                     program("lockstep-hook")};
    command.insert(command.end(), options.begin(), options.end());
    return command;
  }
  [[nodiscard]] Process start_dump(Cluster& cluster, const Traffic& traffic, const std::string& member,
                                   bool leave_running) const {
    const std::size_t pod = member == "server" ? 0 : 1;
    std::vector<std::string> options{
        "--network-lock", "skip",
        "--tree",         std::to_string(traffic.pid_of(member)),
        "--external",     "net[" + std::to_string(cluster.network().pod(pod).inode()) + "]:pod"};
    if (leave_running) options.emplace_back("--leave-running");
    return Process::start({.command = criu(cluster, "dump", cluster.images_of(member), options),
                           .log = cluster.dir() / (member + "-dump.out")});
  }
  [[nodiscard]] Process start_restore(Cluster& cluster, const std::string& member) const {
    const Fd pod(::open(cluster.network().pod(member == "server" ? 0 : 1).path().c_str(), O_RDONLY | O_CLOEXEC));
    return Process::start({.command = criu(cluster, "restore", cluster.images_of(member),
                                           {"--restore-detached", "--inherit-fd", "fd[5]:pod"}),
                           .log = cluster.dir() / (member + "-restore.out"),
                           .inherit = pod.get()});
  }
  static std::string told(const Cluster& cluster, const std::string& member, const std::string& operation) {
    return read_file(cluster.dir() / (member + "-" + operation + ".out")) +
           read_file(cluster.images_of(member) / (operation + ".log"));
  }

  void dump_all(Cluster& cluster, const Traffic& traffic, bool leave_running) const {
    std::vector<Process> dumps;
    for (const std::string& member : traffic.members()) {
      dumps.push_back(start_dump(cluster, traffic, member, leave_running));
    }
    for (std::size_t i = 0; i < dumps.size(); ++i) {
      EXPECT_EQ(dumps[i].wait(30s), 0) << told(cluster, traffic.members()[i], "dump");
    }
    for (const std::string& member : traffic.members()) {
      EXPECT_TRUE(std::filesystem::exists(cluster.record_of(member))) << member;
    }
  }
  void restore_all(Cluster& cluster, const Traffic& traffic) const {
    const traffic::Snapshot before = traffic.snapshot();
    std::vector<Process> restores;
    for (const std::string& member : traffic.members()) restores.push_back(start_restore(cluster, member));
    for (std::size_t i = 0; i < restores.size(); ++i) {
      EXPECT_EQ(restores[i].wait(30s), 0) << told(cluster, traffic.members()[i], "restore");
    }
    EXPECT_THAT(traffic.await_flow(before), IsEmpty());
    expect_unlocked(cluster);
  }
  /// Dumped and killed, restored, dumped again and left running.
  void go_round(Cluster& cluster, const Traffic& traffic, const std::string& group) const {
    const std::vector<pid_t> pids = traffic.pids();
    ASSERT_NO_FATAL_FAILURE(dump_all(cluster, traffic, false));
    ASSERT_TRUE(traffic.await_gone(pids));
    ASSERT_NO_FATAL_FAILURE(restore_all(cluster, traffic));
    ASSERT_NO_FATAL_FAILURE(dump_all(cluster, traffic, true));
    expect_unlocked(cluster);
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
    EXPECT_EQ(traffic.pids(), pids);
    EXPECT_TRUE(wait_until([&] { return rounds(cluster, "complete") == 3; }, 5s)) << history(cluster);
    EXPECT_THAT(history(cluster), AllOf(HasSubstr("hook-"), HasSubstr(group)));
  }
  [[nodiscard]] static std::string history(const Cluster& cluster) {
    return cluster.lockstep({"history", "--broker", cluster.broker_for_cli(), "--output", "json"}).out;
  }
  [[nodiscard]] static std::size_t rounds(const Cluster& cluster, const std::string& state) {
    const std::string text = history(cluster);
    const std::string word = '"' + state + '"';
    std::size_t count = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
    return count;
  }

  TempDir extra_;
};

TEST_F(Outside, AStandingGroupIsDumpedAndRestoredByCriuAlone) {
  Cluster cluster(2, Agents::sidecars, with_groups(kStandingGroup));
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  make_folders(cluster, traffic);
  name_members(cluster, traffic);
  ASSERT_NO_FATAL_FAILURE(go_round(cluster, traffic, "shop"));
  expect_good_end(cluster, traffic);
}

TEST_F(Outside, AMemberThatNobodyDumpsAbortsTheRoundByName) {
  Cluster cluster(2, Agents::sidecars, with_groups(kStandingGroup));
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  make_folders(cluster, traffic);
  name_members(cluster, traffic);
  const std::vector<pid_t> pids = traffic.pids();
  const Process dump = start_dump(cluster, traffic, "server", false);
  const auto code = dump.wait(10s);
  ASSERT_TRUE(code.has_value()) << "it waits for longer than the group's deadline";
  EXPECT_NE(*code, 0);
  EXPECT_THAT(told(cluster, "server", "dump"), HasSubstr("waiting for client0 (its hook has not come)"));
  EXPECT_EQ(traffic.pids(), pids);
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_unlocked(cluster);
  EXPECT_FALSE(std::filesystem::exists(cluster.record_of("server")));
  // Trying again, with all of them, is a new round.
  ASSERT_NO_FATAL_FAILURE(go_round(cluster, traffic, "shop"));
  EXPECT_EQ(rounds(cluster, "aborted"), 1U) << history(cluster);
  expect_good_end(cluster, traffic);
}

TEST_F(Outside, TheGroupsFileMayComeToKnowAGroupWhileTheBrokerRuns) {
  Cluster cluster(2, Agents::node, with_groups("groups: []\n"));
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  make_folders(cluster, traffic);
  name_members(cluster, traffic);
  const Process early = start_dump(cluster, traffic, "server", false);
  const auto code = early.wait(20s);
  ASSERT_TRUE(code.has_value());
  EXPECT_NE(*code, 0);
  EXPECT_THAT(told(cluster, "server", "dump"), HasSubstr("no round is open for it"));
  const auto broker_says = [&](const std::string& words) {
    return wait_until([&] { return read_file(cluster.dir() / "broker.log").find(words) != std::string::npos; }, 5s);
  };
  write_file(extra_.path() / "groups.yaml", "groups: [{group: shop}]\n");
  EXPECT_TRUE(broker_says("is missing")) << read_file(cluster.dir() / "broker.log");
  // Behind a link a change is no event in the file's own folder.
  std::filesystem::remove(extra_.path() / "groups.yaml");
  std::filesystem::create_symlink(extra_.path() / "etc/groups.yaml", extra_.path() / "groups.yaml");
  EXPECT_TRUE(broker_says("No such file")) << read_file(cluster.dir() / "broker.log");
  write_file(extra_.path() / "etc/groups.yaml", kStandingGroup);
  cluster.broker().signal(SIGHUP);
  EXPECT_TRUE(broker_says("rounds of 1 groups")) << read_file(cluster.dir() / "broker.log");
  ASSERT_NO_FATAL_FAILURE(go_round(cluster, traffic, "shop"));
  expect_good_end(cluster, traffic);
}

TEST_F(Outside, CoordinatorFilesOfTheImagesFoldersMakeAGroup) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  make_folders(cluster, traffic);
  write_file(
      cluster.images_of("server") / "criu-coordinator.json",
      R"({"id": "server", "dependencies": "client0", "address": "127.0.0.1", "port": "8080", "log-file": "c.log"})");
  write_file(cluster.images_of("client0") / "criu-coordinator.json", R"({"id": "client0", "dependencies": "server"})");
  ASSERT_NO_FATAL_FAILURE(go_round(cluster, traffic, "client0-"));
  expect_good_end(cluster, traffic);
}

TEST_F(Outside, ACoordinatorFileOfTheMachineMakesAGroup) {
  Cluster cluster(2, Agents::node);
  const Traffic traffic(cluster.dir(), cluster.network(), {.own_names = true});
  make_folders(cluster, traffic);
  write_file(common_file(),
             R"({"address": "127.0.0.1", "port": "8080", "dependencies": {"server": ["client0"], "client0": []}})");
  ASSERT_NO_FATAL_FAILURE(go_round(cluster, traffic, "client0-"));
  expect_good_end(cluster, traffic);
}

TEST_F(Outside, ADependencyThatDoesNotComeSendsTheOthersBack) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  make_folders(cluster, traffic);
  write_file(cluster.images_of("server") / "criu-coordinator.json", R"({"id": "server", "dependencies": "client0"})");
  const Process dump = start_dump(cluster, traffic, "server", false);
  const auto code = dump.wait(30s);
  ASSERT_TRUE(code.has_value());
  EXPECT_NE(*code, 0);
  EXPECT_THAT(told(cluster, "server", "dump"), HasSubstr("waiting for client0 (named by server)"));
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_unlocked(cluster);
  expect_good_end(cluster, traffic);
}

}  // namespace
}  // namespace lockstep::e2e
