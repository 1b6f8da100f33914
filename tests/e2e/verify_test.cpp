/// lockstep verify against what CRIU really writes: a coordinated checkpoint fits, one that was not coordinated does
/// not.
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"

namespace lockstep::e2e {
namespace {

using nlohmann::json;

class Verify : public EndToEnd {
 protected:
  static std::vector<std::string> arguments(const Cluster& cluster, const Traffic& traffic) {
    std::vector<std::string> result{"verify", "--output", "json"};
    for (const std::string& member : traffic.members()) result.push_back(cluster.images_of(member).string());
    return result;
  }

  /// What verify says of the members' images, after its exit code has been compared.
  static json verify(const Cluster& cluster, const Traffic& traffic, int exit_code) {
    const CommandResult result = cluster.lockstep(arguments(cluster, traffic));
    EXPECT_EQ(result.exit_code, exit_code) << result.out << result.err;
    const json report = json::parse(result.out, nullptr, false);
    EXPECT_FALSE(report.is_discarded()) << result.out << result.err;
    return report;
  }

  /// Dumps a member anew, by CRIU alone, in place of the images that are there. Its record stays. While it is dumped
  /// its pod is cut off, since CRIU fails on a connection that moves under it; nobody else's is.
  static void dump_alone(Cluster& cluster, const Traffic& traffic, const std::string& member, std::size_t pod) {
    const Namespace& netns = cluster.network().pod(pod);
    must_run({"nft",
              "add table inet alone; add chain inet alone out { type filter hook output priority -400; policy drop; };"
              "add chain inet alone in { type filter hook input priority -400; policy drop; }"},
             netns.path());
    const std::string external = "net[" + std::to_string(netns.inode()) + "]:pod";
    const CommandResult dump = run_command({criu_path(), "dump", "-t", std::to_string(traffic.pid_of(member)), "-D",
                                            cluster.images_of(member).string(), "--tcp-established", "--network-lock",
                                            "skip", "--leave-running", "--external", external, "-o", "alone.log"});
    must_run({"nft", "delete table inet alone"}, netns.path());
    ASSERT_EQ(dump.exit_code, 0) << read_file(cluster.images_of(member) / "alone.log");
  }
};

TEST_F(Verify, ACoordinatedCheckpointFits) {
  Cluster cluster(3, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.client_pods = {0, 1, 2}, .dual_stack = true});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  for (int cycle = 0; cycle < 3; ++cycle) {
    const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("consistent: 4 members, " + std::to_string(traffic.connections()) + " internal"));
    const json report = verify(cluster, traffic, 0);
    EXPECT_EQ(report["internal"], traffic.connections());
    EXPECT_EQ(report["external"], 0);
    EXPECT_EQ(report["problems"], json::array());
  }
  // What a restored member saves must fit as well.
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  ASSERT_NO_FATAL_FAILURE(dump_and_kill(cluster, traffic, group));
  EXPECT_EQ(verify(cluster, traffic, 0)["internal"], traffic.connections());
  ASSERT_NO_FATAL_FAILURE(restore(cluster, traffic, group));
  expect_good_end(cluster, traffic);
}

TEST_F(Verify, AMemberDumpedLaterDoesNotFit) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.rate = 500});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  for (std::size_t late = 0; late < 2; ++late) {
    const CommandResult result = cluster.lockstep({"checkpoint", group, "--leave-running"});
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(verify(cluster, traffic, 0)["misfits"], 0);
    ASSERT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
    ASSERT_NO_FATAL_FAILURE(dump_alone(cluster, traffic, traffic.members()[late], late));
    const json report = verify(cluster, traffic, 1);
    EXPECT_EQ(report["misfits"], traffic.connections()) << report.dump(1);
    EXPECT_EQ(report["problems"], json::array());  // same sockets, same record: only the numbers tell
    ASSERT_THAT(traffic.await_flow(traffic.snapshot()), IsEmpty());
  }
  expect_good_end(cluster, traffic);
}

TEST_F(Verify, MixedRoundsAndDamage) {
  Cluster cluster(2, Agents::sidecars);
  const Traffic traffic(cluster.dir(), cluster.network(), {.rate = 500});
  const std::string group = cluster.write_group(traffic.group(), kShortBounds);
  ASSERT_EQ(cluster.lockstep({"checkpoint", group, "--leave-running"}).exit_code, 0);
  const auto images = cluster.images_of(traffic.members()[1]);
  const auto kept = cluster.dir() / "kept";
  std::filesystem::copy(images, kept);
  ASSERT_EQ(cluster.lockstep({"checkpoint", group, "--leave-running"}).exit_code, 0);
  EXPECT_EQ(verify(cluster, traffic, 0)["problems"], json::array());

  std::filesystem::resize_file(images / "files.img", std::filesystem::file_size(images / "files.img") - 1);
  EXPECT_THAT(verify(cluster, traffic, 1)["problems"].dump(), HasSubstr("files.img: is cut off"));
  std::filesystem::remove_all(images);
  EXPECT_EQ(cluster.lockstep(arguments(cluster, traffic)).exit_code, 2);
  std::filesystem::rename(kept, images);
  EXPECT_THAT(verify(cluster, traffic, 1)["problems"].dump(), HasSubstr("others are of round"));
  expect_good_end(cluster, traffic);
}

}  // namespace
}  // namespace lockstep::e2e
