/// What CRIU can't dump is found before anything is frozen; what it needs an option for gets it, and comes back.
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class Preflight : public EndToEnd {
 protected:
  /// A member of one process, by a shell script.
  static Process start(Cluster& cluster, const std::string& script, int inherit = -1) {
    Process process = Process::start({.command = {"/bin/bash", "-c", script},
                                      .log = cluster.dir() / "member.out",
                                      .netns = cluster.network().pod(0).path(),
                                      .inherit = inherit,
                                      .dies_with_test = false});
    write_file(cluster.dir() / "member.pid", std::to_string(process.pid()) + "\n");
    return process;
  }
  static nlohmann::json preflight(const Cluster& cluster, const std::string& group, int expected) {
    const CommandResult result = cluster.lockstep({"preflight", group, "--output", "json"});
    EXPECT_EQ(result.exit_code, expected) << result.out << result.err;
    if (result.out.empty()) throw std::runtime_error("no output; " + result.err);
    return nlohmann::json::parse(result.out)["members"][0];
  }
};

TEST_F(Preflight, AddsWhatADumpNeedsAndARestoreGetsItToo) {
  Cluster cluster(1, Agents::sidecars);
  const std::string lock = cluster.dir() / "lock";
  const std::string ghost = cluster.dir() / "ghost";
  Process member = start(cluster, "exec 8>" + ghost + "; head -c 3000000 /dev/zero >&8; rm " + ghost + "; exec 9>" + lock +
                                      "; flock 9; echo ready; exec sleep 1000");
  ASSERT_TRUE(wait_until([&] { return read_file(cluster.dir() / "member.out") == "ready\n"; }, 5s));
  const std::string group = cluster.write_group({{.id = "member"}}, kShortBounds);
  const nlohmann::json found = preflight(cluster, group, 0);
  const nlohmann::json wanted{"--file-locks", "--ghost-limit", "6291456"};
  EXPECT_EQ(found["options"], wanted) << found;

  const CommandResult without = cluster.lockstep({"checkpoint", group, "--leave-running", "--no-preflight"});
  EXPECT_EQ(without.exit_code, 1) << "CRIU takes it without options: what is this test about?";
  const CommandResult dumped = cluster.lockstep({"checkpoint", group});
  ASSERT_EQ(dumped.exit_code, 0) << dumped.out << dumped.err;
  EXPECT_THAT(dumped.out, AllOf(HasSubstr("added --file-locks"), HasSubstr("added --ghost-limit 6291456")));
  ASSERT_TRUE(member.wait(5s));
  const auto is_locked = [&] { return run_command({"flock", "--nonblock", lock, "true"}).exit_code != 0; };
  EXPECT_FALSE(is_locked());
  const CommandResult restored = cluster.lockstep({"restore", group});
  ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_TRUE(is_locked()) << "the lock did not come back";
  const pid_t pid = std::stoi(read_file(cluster.dir() / "member.pid"));
  EXPECT_EQ(pid, member.pid());
  ::kill(pid, SIGKILL);
  EXPECT_THAT(cluster.shut_down(), IsEmpty());
}

TEST_F(Preflight, RefusesWhatCantBeDumpedBeforeAnythingIsFrozen) {
  Cluster cluster(1, Agents::sidecars);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  Process member = start(cluster, "echo ready; exec sleep 1000", theirs.get());
  ASSERT_TRUE(wait_until([&] { return read_file(cluster.dir() / "member.out") == "ready\n"; }, 5s));
  const std::string group = cluster.write_group({{.id = "member"}}, kShortBounds);
  const nlohmann::json found = preflight(cluster, group, 1);
  ASSERT_EQ(found["findings"].size(), 1U) << found;
  EXPECT_EQ(found["findings"][0]["severity"], "fatal");
  EXPECT_EQ(found["findings"][0]["descriptor"], 5);
  EXPECT_EQ(found["findings"][0]["pid"], member.pid());

  const CommandResult refused = cluster.lockstep({"checkpoint", group, "--leave-running"});
  EXPECT_EQ(refused.exit_code, 2) << refused.out;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("descriptor 5"), HasSubstr("--no-preflight")));
  EXPECT_FALSE(std::filesystem::exists(cluster.images_of("member") / "dump.log")) << "CRIU was started";
  // It is right: CRIU says no as well.
  const CommandResult tried = cluster.lockstep({"checkpoint", group, "--leave-running", "--no-preflight"});
  EXPECT_EQ(tried.exit_code, 1) << tried.out;
  EXPECT_TRUE(member.running());
  member.kill();
  EXPECT_THAT(cluster.shut_down(), IsEmpty());
}

}  // namespace
}  // namespace lockstep::e2e
