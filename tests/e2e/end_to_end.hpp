/// What all end-to-end tests begin and end with. They need root, a CRIU that works, and the environment of
/// tests/run.sh.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/reaper.hpp"
#include "tests/e2e/harness/traffic.hpp"

namespace lockstep::e2e {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Bounds that are short enough to wait for in a test, for a group file; the broker takes no shorter lease.
inline const std::string kShortBounds =
    "deadlines: {prepare: 5s, lock: 5s, commit: 20s, finish: 5s}\n"
    "lease: 12s\n";

/// Until a lock that nobody renews has opened, and a little.
inline constexpr auto kLeaseIsOver = 14s;

inline void PrintTo(Agents agents, std::ostream* out) { *out << (agents == Agents::node ? "node agent" : "sidecars"); }

class EndToEnd : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    (void)Reaper::instance();
    remove_stale_namespaces();
  }
  void TearDown() override { Reaper::instance().end_all(); }

  /// The application runs to its last message without a fault, and lockstep leaves nothing behind.
  static void expect_good_end(Cluster& cluster, const Traffic& traffic) {
    EXPECT_THAT(traffic.finish(), IsEmpty());
    expect_nothing_left(cluster, traffic.pids());
  }

  /// Ends broker and agents: no file, no rule, no process is left, but for the application's.
  static void expect_nothing_left(Cluster& cluster, const std::vector<pid_t>& application) {
    EXPECT_THAT(cluster.shut_down(), IsEmpty());
    for (const pid_t child : children_of_this_process()) {
      const bool expected =
          std::ranges::find(application, child) != application.end() || Reaper::instance().started(child);
      EXPECT_TRUE(expected) << "process " << child
                            << " is left: " << read_file("/proc/" + std::to_string(child) + "/cmdline");
    }
  }

  /// Checkpoints the group, killing it, and waits until its pids are free.
  static void dump_and_kill(Cluster& cluster, const Traffic& traffic, const std::string& group) {
    const std::vector<pid_t> pids = traffic.pids();
    const CommandResult checkpoint = cluster.lockstep({"checkpoint", group});
    ASSERT_EQ(checkpoint.exit_code, 0) << checkpoint.out << checkpoint.err;
    ASSERT_TRUE(traffic.await_gone(pids)) << "a member lives on after dump and kill";
    for (const std::string& member : traffic.members()) {
      EXPECT_TRUE(std::filesystem::exists(cluster.record_of(member))) << member;
      EXPECT_FALSE(std::filesystem::exists(cluster.record_of(member).string() + ".part")) << member;
    }
  }

  /// Restores the group, and expects every connection to go on.
  static void restore(Cluster& cluster, const Traffic& traffic, const std::string& group) {
    const traffic::Snapshot before = traffic.snapshot();
    const std::vector<pid_t> pids = traffic.pids();
    const CommandResult restored = cluster.lockstep({"restore", group});
    ASSERT_EQ(restored.exit_code, 0) << restored.out << restored.err;
    EXPECT_THAT(restored.out, ::testing::Not(HasSubstr("Not as it was saved"))) << "limits, files and clocks are";
    EXPECT_EQ(traffic.pids(), pids) << "the pidfiles name other processes than those that were dumped";
    EXPECT_THAT(traffic.await_flow(before), IsEmpty());
    expect_unlocked(cluster);
  }

  static void expect_unlocked(const Cluster& cluster, std::chrono::milliseconds limit = 1s) {
    for (std::size_t pod = 0; pod < const_cast<Cluster&>(cluster).network().size(); ++pod) {
      EXPECT_TRUE(wait_until([&] { return !cluster.locked(pod); }, limit)) << "pod " << pod << " stays locked";
    }
  }
};

}  // namespace lockstep::e2e
