/// The members' own commands: at the frozen point nobody writes, a failure undoes the round, and their words are kept.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class Commands : public EndToEnd {
 protected:
  /// The traffic's group, with commands for its server.
  static std::string write_group(const Cluster& cluster, const Traffic& traffic, const std::string& commands) {
    std::vector<GroupMember> members = traffic.group();
    members.front().settings += "commands:\n" + commands;
    return cluster.write_group(members, kShortBounds);
  }
  static nlohmann::json checkpoint(const Cluster& cluster, const std::string& group, int expected) {
    const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running", "--output", "json"});
    EXPECT_EQ(result.exit_code, expected) << result.out << result.err;
    return nlohmann::json::parse(result.out);
  }
};

TEST_F(Commands, RunInOrderWhileEverybodyStandsStill) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string said = cluster.dir() / "said";
  std::string clocks;  // processor time that each member has used
  for (const pid_t pid : traffic.pids()) clocks += " /proc/" + std::to_string(pid) + "/schedstat";
  const std::string look = "cat" + clocks + " > " + said;
  const std::string group =
      write_group(cluster, traffic,
                  "  - {before: prepare, run: \"echo prepare >> " + said + "\"}\n" + "  - {at: frozen, run: \"" + look +
                      ".1; sleep 0.3; " + look + ".2; echo frozen >> " + said + "\"}\n" +
                      "  - {after: resume, run: \"echo $LOCKSTEP_OUTCOME >> " + said + "; echo at the end\"}\n");
  const nlohmann::json report = checkpoint(cluster, group, 0);
  EXPECT_EQ(read_file(said), "prepare\nfrozen\ncommitted\n");
  const std::string used = read_file(said + ".1");
  EXPECT_FALSE(used.empty()) << "no member has been looked at";
  EXPECT_EQ(used, read_file(said + ".2")) << "a member ran at the frozen point";
  EXPECT_GE(report["commands_frozen"]["end_us"].get<long>() - report["commands_frozen"]["begin_us"].get<long>(),
            300'000);
  const CommandResult shown =
      cluster.lockstep({"show", report["round"].get<std::string>(), "--broker", cluster.broker_for_cli()});
  EXPECT_THAT(shown.out, HasSubstr("at the end"));
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_good_end(cluster, traffic);
}

TEST_F(Commands, ThatFailOrHangAbortTheRoundAndEverybodyRunsOn) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  for (const std::string run : {"{at: frozen, run: \"echo no room; exit 7\"}",
                                "{at: frozen, run: sleep 60, timeout: 300ms}", "{before: prepare, run: \"exit 7\"}"}) {
    const nlohmann::json report = checkpoint(cluster, write_group(cluster, traffic, "  - " + run + "\n"), 1);
    EXPECT_EQ(report["verdict"], "aborted");
    EXPECT_THAT(report["reason"].get<std::string>(),
                AnyOf(HasSubstr("exit code 7"), HasSubstr("has not ended after 300ms")));
    expect_unlocked(cluster);
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty()) << run;
    for (const std::string& member : traffic.members())
      EXPECT_FALSE(std::filesystem::exists(cluster.record_of(member)));
  }
  expect_good_end(cluster, traffic);
}

TEST_F(Commands, ThatFailLeaveTheFormerCheckpointToBeRestored) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::vector<pid_t> pids = traffic.pids();
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  // The second one replaces the first.
  for (int round = 0; round < 2; ++round) {
    const CommandResult dump = cluster.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(dump.exit_code, 0) << dump.out << dump.err;
    for (const std::string& member : traffic.members())
      EXPECT_FALSE(std::filesystem::exists(cluster.images_of(member) / "former")) << member;
  }
  const std::string round = read_file(cluster.record_of("server"));
  // Before any CRIU is started, and when all of them have written their images.
  for (const std::string run : {"{before: prepare, run: \"exit 7\"}", "{at: frozen, run: \"exit 7\"}"}) {
    const nlohmann::json report = checkpoint(cluster, write_group(cluster, traffic, "  - " + run + "\n"), 1);
    EXPECT_EQ(report["verdict"], "aborted") << run;
    EXPECT_EQ(read_file(cluster.record_of("server")), round) << run;
    std::vector<std::string> verify{"verify"};
    for (const std::string& member : traffic.members()) {
      verify.push_back(cluster.images_of(member));
      EXPECT_FALSE(std::filesystem::exists(cluster.images_of(member) / "former")) << member;
    }
    const CommandResult verified = cluster.lockstep(verify);
    EXPECT_EQ(verified.exit_code, 0) << run << verified.out << verified.err;
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty()) << run;
  }
  for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  ASSERT_TRUE(traffic.await_gone(pids));
  const CommandResult restored = cluster.lockstep({"restore", cluster.write_group(traffic.group(), kShortBounds)});
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  expect_good_end(cluster, traffic);
}

TEST_F(Commands, OfARestoreRunBeforeAnyMemberDoes) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string said = cluster.dir() / "said";
  const std::string group =
      write_group(cluster, traffic, "  - {at: frozen, run: \"echo restored >> " + said + "\", on: restore}\n");
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  EXPECT_FALSE(std::filesystem::exists(said));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  EXPECT_EQ(read_file(said), "restored\n");
  expect_good_end(cluster, traffic);
}

}  // namespace
}  // namespace lockstep::e2e
