/// All or nothing: what can't be done for one member is done for none.
#include <sys/socket.h>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

class Refusal : public EndToEnd {
 protected:
  /// The restore is refused, names `member`, and starts nothing.
  static void expect_refused_restore(Cluster& cluster, const Traffic& traffic, const std::string& group,
                                     const std::string& member) {
    const CommandResult result = cluster.lockstep({"restore", group});
    EXPECT_THAT(result.exit_code, AnyOf(1, 2)) << result.out << result.err;
    EXPECT_THAT(result.out + result.err, HasSubstr(member));
    for (const pid_t pid : traffic.pids()) EXPECT_FALSE(exists(pid)) << "process " << pid << " was restored";
    expect_unlocked(cluster, 5s);
  }

  /// The checkpoint fails, names `member`; the application runs on, nothing is lost, and no image passes for good.
  static void expect_failed_checkpoint(Cluster& cluster, const Traffic& traffic, const std::string& group,
                                       const std::vector<std::string>& options, const std::string& member) {
    const std::vector<pid_t> pids = traffic.pids();
    std::vector<std::string> command{"checkpoint", group};
    command.insert(command.end(), options.begin(), options.end());
    const auto begin = std::chrono::steady_clock::now();
    const CommandResult result = cluster.lockstep(command);
    EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
    EXPECT_THAT(result.out + result.err, HasSubstr(member));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "a failure is known at once, not by a deadline";
    EXPECT_EQ(traffic.pids(), pids);
    EXPECT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
    expect_unlocked(cluster);
    for (const std::string& each : traffic.members()) {
      EXPECT_FALSE(std::filesystem::exists(cluster.record_of(each))) << each;
    }
  }
};

TEST_F(Refusal, RestoreWithoutOneRecordRestoresNothing) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  const auto record = cluster.record_of("client0");
  std::filesystem::rename(record, cluster.dir() / "kept");
  expect_refused_restore(cluster, traffic, group, "client0");
  std::filesystem::rename(cluster.dir() / "kept", record);
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(Refusal, RestoreWithoutOneImageRestoresNothing) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  std::filesystem::rename(cluster.images_of("client0"), cluster.dir() / "kept");
  expect_refused_restore(cluster, traffic, group, "client0");
  std::filesystem::remove_all(cluster.images_of("client0"));
  std::filesystem::rename(cluster.dir() / "kept", cluster.images_of("client0"));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(Refusal, RestoreOfImagesOfDifferentRoundsRestoresNothing) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  const CommandResult first = cluster.lockstep({"checkpoint", group, "--leave-running"});
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  const std::string old_record = read_file(cluster.record_of("client0"));
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  const std::string record = read_file(cluster.record_of("client0"));
  ASSERT_NE(record, old_record);
  write_file(cluster.record_of("client0"), old_record);
  expect_refused_restore(cluster, traffic, group, "client0");
  write_file(cluster.record_of("client0"), record);
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(Refusal, RestoreOfADamagedRecordRestoresNothing) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  const std::string record = read_file(cluster.record_of("server"));
  for (const std::string& damaged :
       {record.substr(0, record.size() / 2), std::string(), std::string(100'000, '\xdd')}) {
    write_file(cluster.record_of("server"), damaged);
    expect_refused_restore(cluster, traffic, group, "server");
  }
  write_file(cluster.record_of("server"), record);
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(Refusal, CriuThatDoesNotStartAbortsTheRound) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  std::vector<GroupMember> members = traffic.group();
  members.back().criu_options = {"--no-such-option"};
  expect_failed_checkpoint(cluster, traffic, cluster.write_group(members, kShortBounds), {}, "client0");

  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

/// A process that CRIU refuses half-way through its dump, when all members are frozen and locked: it holds one end
/// of a unix socket whose other end is outside its tree.
class HalfWay : public Refusal, public ::testing::WithParamInterface<bool> {};

TEST_P(HalfWay, OneDumpThatFailsLetsAllRunOn) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {});
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd outside(ends[0]);
  Fd inside(ends[1]);
  const Process stubborn = Process::start({.command = {"sleep", "600"},
                                           .log = cluster.dir() / "stubborn.log",
                                           .netns = cluster.network().pod(1).path(),
                                           .inherit = inside.get(),
                                           .dies_with_test = false});
  inside.reset();
  write_file(cluster.dir() / "stubborn.pid", std::to_string(stubborn.pid()) + "\n");

  std::vector<GroupMember> members = traffic.group();
  members.push_back({.id = "stubborn"});
  // lockstep would have seen it coming.
  std::vector<std::string> options{"--no-preflight"};
  if (GetParam()) options.emplace_back("--leave-running");
  expect_failed_checkpoint(cluster, traffic, cluster.write_group(members, kShortBounds), options, "stubborn");
  EXPECT_TRUE(wait_until([&] { return state_of(stubborn.pid()) == 'S'; }, 2s)) << state_of(stubborn.pid());

  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

INSTANTIATE_TEST_SUITE_P(Modes, HalfWay, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "LeaveRunning" : "Kill"; });

}  // namespace
}  // namespace lockstep::e2e
