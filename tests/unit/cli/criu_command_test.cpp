#include "cli/criu_command.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep::cli {
namespace {

const RoundContext kContext{RoundId("r1"), GroupId("g"), "/usr/bin/lockstep-hook", "/run/lockstep", "ipc:///run/b"};
const PodId kPod{"boot", 4026532530};

GroupMember member() {
  GroupMember member;
  member.id = MemberId("server");
  member.images = "/img/server";
  member.criu = {"nice", "criu"};
  member.criu_options = {"--file-locks"};
  return member;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST(CriuCommand, Dump) {
  const auto command = dump_command(kContext, member(), 42, kPod, false);
  EXPECT_EQ(
      joined(command.argv),
      "nice criu dump --images-dir /img/server --log-file dump.log -v2 --tcp-established --action-script "
      "/usr/bin/lockstep-hook --network-lock skip --tree 42 --external net[4026532530]:lockstep-net --file-locks");
  EXPECT_EQ(command.log, "/img/server/dump.log");
  EXPECT_EQ(command.output, "/img/server/dump.out");
  EXPECT_EQ(command.pod_fd, -1);
  EXPECT_EQ(command.environment,
            (std::vector<std::string>{"LOCKSTEP_ROUND=r1", "LOCKSTEP_GROUP=g", "LOCKSTEP_MEMBER=server",
                                      "LOCKSTEP_POD=4026532530", "LOCKSTEP_SOCKET_DIR=/run/lockstep",
                                      "LOCKSTEP_BROKER=ipc:///run/b"}));
}

TEST(CriuCommand, LeavesRunningOnlyWhenTold) {
  const auto has = [](const CriuCommand& command) {
    return std::count(command.argv.begin(), command.argv.end(), "--leave-running");
  };
  EXPECT_EQ(has(dump_command(kContext, member(), 42, kPod, false)), 0);
  EXPECT_EQ(has(dump_command(kContext, member(), 42, kPod, true)), 1);
}

TEST(CriuCommand, Restore) {
  const auto command = restore_command(kContext, member(), kPod, 17);
  EXPECT_EQ(
      joined(command.argv),
      "nice criu restore --images-dir /img/server --log-file restore.log -v2 --tcp-established --action-script "
      "/usr/bin/lockstep-hook --restore-detached --inherit-fd fd[3]:lockstep-net --pidfile /img/server/restored.pid "
      "--file-locks");
  EXPECT_EQ(command.pod_fd, 17);
  EXPECT_EQ(command.log, "/img/server/restore.log");
}

TEST(CriuVersion, IsRead) {
  EXPECT_EQ(*parse_criu_version("Version: 4.2.1\n"), (CriuVersion{4, 2, 1}));
  EXPECT_EQ(*parse_criu_version("Version: 3.17\nGitID: v3.17\n"), (CriuVersion{3, 17, 0}));
  EXPECT_EQ(*parse_criu_version("some warning\nVersion:  4.10"), (CriuVersion{4, 10, 0}));
  EXPECT_EQ(*parse_criu_version("Version: 4.2-dirty"), (CriuVersion{4, 2, 0}));
  for (const char* text : {"", "Version:", "Version: x", "Version: 4", "4.2.1", "Version: .2"}) {
    EXPECT_FALSE(parse_criu_version(text)) << text;
  }
}

TEST(CriuVersion, IsCompared) {
  EXPECT_LT((CriuVersion{3, 17, 1}), kOldestCriu);
  EXPECT_GE((CriuVersion{3, 19, 0}), kOldestCriu);
  EXPECT_LT((CriuVersion{4, 1, 1}), kCriuForNewKernels);
  EXPECT_LT((CriuVersion{4, 9, 0}), (CriuVersion{4, 10, 0}));
  EXPECT_EQ((CriuVersion{4, 2, 0}).text(), "4.2");
}

TEST(ErrorLines, AreTheTellingOnes) {
  const std::string log =
      "(00.001) Warn  (criu/config.c:1): nothing\n"
      "(00.002) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n"
      "lockstep-hook: pre-dump: no agent\n"
      "(00.003) Error (criu/cr-dump.c:2): failed\n"
      "(00.003) Error (criu/cr-dump.c:2): failed\n"
      "(00.004) pie: Error in a name\n"
      "(00.005) Error (criu/cr-dump.c:3): Dumping FAILED.";
  EXPECT_EQ(error_lines(log, 4096),
            "lockstep-hook: pre-dump: no agent\n(00.003) Error (criu/cr-dump.c:2): failed\n"
            "(00.005) Error (criu/cr-dump.c:3): Dumping FAILED.");
  EXPECT_EQ(error_lines("time=\"now\" level=warning msg=\"x\"\nError: no such container\n", 100),
            "Error: no such container");
  EXPECT_EQ(error_lines("", 100), "");
  EXPECT_EQ(error_lines("all is well\n\n", 100), "");
}

TEST(ErrorLines, KeepTheLastWholeOnes) {
  std::string log;
  for (int i = 0; i < 1000; ++i) log += "Error (x.c:" + std::to_string(i) + "): no\n";
  const std::string lines = error_lines(log, 100);
  EXPECT_LE(lines.size(), 100U);
  EXPECT_EQ(lines.rfind("Error (x.c:", 0), 0U);
  EXPECT_NE(lines.find("x.c:999"), std::string::npos);
  EXPECT_EQ(error_lines("Error (" + std::string(500, 'x'), 100).size(), 100U);
}

}  // namespace
}  // namespace lockstep::cli
