/// What of a restored tree differs from its images, and a look at a real process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/restored/compare.hpp"
#include "cli/scan/proc_text.hpp"
#include "common/fd.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;
using Kind = RestoreDifference::Kind;
using images::ProcessImages;
using images::SavedClocks;
using images::SavedLimit;

/// Process 1 of a container, 4711 to us; open files are limited.
struct Case {
  Case() {
    saved.processes.push_back({1, "redis-server", std::vector<SavedLimit>(16, SavedLimit{7, 7}), {}});
    saved.processes[0].limits[RLIMIT_NOFILE] = {524'288, 524'288};
    saved.processes[0].files = {{5, "/var/log/redis.log", 100}};
    saved.clocks = SavedClocks{1000s, 2000s};
    live.processes.push_back({4711, 1, "redis-server", {}, {}});
    live.processes[0].limits = {{"Max open files", 524'288, 524'288}, {"Max cpu time", 7, 7}};
    live.processes[0].files[5] = {"/var/log/redis.log", 100};
    live.clocks = LiveClocks{1000s + 200ms, 2000s + 200ms};
  }
  [[nodiscard]] std::vector<RestoreDifference> run() const { return compare_restored(saved, live, 300ms); }
  [[nodiscard]] RestoreDifference one() const {
    const auto found = run();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? RestoreDifference{} : found.front();
  }

  ProcessImages saved;
  LiveTree live;
};

TEST(CompareRestored, WhatIsAsItWasIsNothingToTell) {
  Case same;
  EXPECT_TRUE(same.run().empty());
  same.live.processes[0].files[5].size = 4096;  // the application has gone on writing
  EXPECT_TRUE(same.run().empty());
  same.live.processes[0].files[5] = {"/tmp/other", 0};  // and opened something else
  EXPECT_TRUE(same.run().empty());
  same.live.processes[0].files.clear();
  EXPECT_TRUE(same.run().empty());
  same.live.processes.clear();  // and ended
  EXPECT_TRUE(same.run().empty());
  EXPECT_TRUE(compare_restored({}, Case().live, 1s).empty()) << "images of an old CRIU";
}

TEST(CompareRestored, TellsOfLimits) {
  Case lowered;
  lowered.live.processes[0].limits[0] = {"Max open files", 1024, 4096};
  const RestoreDifference found = lowered.one();
  EXPECT_EQ(found.kind, Kind::limit);
  EXPECT_EQ(found.pid, 4711);
  EXPECT_TRUE(
      found.text().starts_with("process 4711 (redis-server): open files 1024 (hard: 4096), was 524288: raise the "
                               "restorer's hard limit"))
      << found.text();
  Case unlimited;
  unlimited.saved.processes[0].limits[RLIMIT_CPU] = {kUnlimited, kUnlimited};
  EXPECT_EQ(unlimited.one().saved, "unlimited");
  Case raised;
  raised.live.processes[0].limits[0].hard = 1'000'000;
  EXPECT_NE(raised.one().remedy.find("somebody has changed it"), std::string::npos);
}

TEST(CompareRestored, TellsOfFilesThatHaveBecomeShorter) {
  Case cut;
  cut.live.processes[0].files[5].size = 10;
  const RestoreDifference found = cut.one();
  EXPECT_EQ(found.kind, Kind::file);
  EXPECT_TRUE(found.text().starts_with(
      "process 4711 (redis-server): /var/log/redis.log (descriptor 5) 10 bytes, was 100 bytes: "))
      << found.text();
}

TEST(CompareRestored, TellsOfClocks) {
  Case back;
  back.live.clocks->monotonic = 999s;
  EXPECT_EQ(back.one().what, "CLOCK_MONOTONIC");
  EXPECT_NE(back.one().remedy.find("gone backwards"), std::string::npos);
  Case jumped;
  jumped.live.clocks->boottime += 60s;
  EXPECT_EQ(jumped.one().what, "CLOCK_BOOTTIME");
  EXPECT_EQ(jumped.one().found, "2060.200 s");
  EXPECT_NE(jumped.one().remedy.find("jumped ahead"), std::string::npos);
  Case rebooted;
  rebooted.saved.clocks.reset();
  EXPECT_TRUE(rebooted.run().empty());
  rebooted.saved.uptime = 1990s;
  EXPECT_TRUE(rebooted.run().empty()) << "the machine has been up for longer";
  rebooted.saved.uptime = 9000s;
  EXPECT_EQ(rebooted.one().kind, Kind::clock);
}

TEST(ReadLiveTree, SeesThisProcess) {
  const lockstep::test::TempDir folder;
  const Fd file(::open((folder / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file.get(), "hello\n", 6), 6);
  const LiveTree tree = read_live_tree(::getpid());
  ASSERT_FALSE(tree.processes.empty());
  const LiveProcess& own = tree.processes.front();
  EXPECT_EQ(own.pid, ::getpid());
  EXPECT_FALSE(own.limits.empty());
  ASSERT_TRUE(own.files.contains(file.get()));
  EXPECT_EQ(own.files.at(file.get()).size, 6U);
  EXPECT_EQ(own.files.at(file.get()).path, folder / "log");
  ASSERT_TRUE(tree.clocks);
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  EXPECT_NEAR(static_cast<double>(now.tv_sec), std::chrono::duration<double>(tree.clocks->monotonic).count(), 2.0);
  EXPECT_TRUE(read_live_tree(4'194'304).processes.empty());
}

TEST(ProcText, ReadsTimensOffsets) {
  const auto offsets = parse_timens_offsets("monotonic         -12  500000000\nboottime            3         0\n");
  ASSERT_TRUE(offsets);
  EXPECT_EQ(offsets->monotonic, -11500ms);
  EXPECT_EQ(offsets->boottime, 3s);
  for (const char* wrong : {"", "monotonic 1 2\n", "monotonic 1\nboottime x 0\n",
                            "monotonic 99999999999999 0\nboottime 0 0\n", "monotonic 0 0\nboottime 0 1000000000\n"}) {
    EXPECT_FALSE(parse_timens_offsets(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace lockstep::cli
