#include "cli/preflight.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "cli/criu_process.hpp"
#include "cli/images/image_file.hpp"
#include "cli/images_folder.hpp"
#include "cli/pod_search.hpp"
#include "cli/tools_check.hpp"
#include "common/netns.hpp"
#include "schemas/codec.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

class PreflightTest : public testing::Test {
 protected:
  PreflightTest() {
    group_.path = "g.yaml";
    group_.group = GroupId("g");
    for (const char* id : {"a", "b"}) {
      GroupMember member;
      member.id = MemberId(id);
      member.images = folder_ / (std::string("images/") + id);
      member.pid = ::getpid();
      member.criu = {folder_ / "criu"};
      group_.members.push_back(member);
    }
    group_.hook = folder_ / "hook";
    script("hook", "exit 0");
    script("criu", "echo 'Version: 4.2.1'");
  }

  void script(const std::string& name, const std::string& text) {
    test::write_file(folder_ / name, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
  }

  [[nodiscard]] Record record_of(const char* id) const {
    Record record;
    record.round = RoundId("r1");
    record.group = GroupId("g");
    record.member = MemberId(id);
    record.members = {MemberId("a"), MemberId("b")};
    record.pod = PodId{"another boot", 42};
    record.root_pid = ::getpid();
    return record;
  }

  void write_record(const Record& record, const std::string& folder) {
    test::write_file(folder_ / ("images/" + folder + "/" + std::string(kRecordFile)), encode_record(record));
  }

  static std::string error_of(const Result<Preflight>& result) {
    return result ? "(no error)" : result.error().message();
  }

  test::TempDir folder_;
  GroupFile group_;
};

TEST_F(PreflightTest, ReadsPidfiles) {
  const std::vector<std::pair<std::string, pid_t>> good{{"42", 42}, {"42\n", 42}, {"  42 \r\n", 42}, {"1", 1}};
  for (const auto& [text, pid] : good) {
    test::write_file(folder_ / "p", text);
    const auto read = read_pidfile(folder_ / "p");
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, pid);
  }
  for (const char* text : {"", "\n", "x", "42 43", "-1", "0", "4.2", "99999999999999"}) {
    test::write_file(folder_ / "p", text);
    EXPECT_FALSE(read_pidfile(folder_ / "p")) << text;
  }
  EXPECT_EQ(read_pidfile(folder_ / "none").error().code, ErrorCode::not_found);
}

TEST_F(PreflightTest, TellsRunningFromEnded) {
  EXPECT_TRUE(is_running(::getpid()));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(is_running(child));  // a zombie
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(is_running(child));
}

TEST_F(PreflightTest, ComparesKernelReleases) {
  EXPECT_TRUE(kernel_is_at_least("6.18.3-amd64", 6, 16));
  EXPECT_TRUE(kernel_is_at_least("6.16", 6, 16));
  EXPECT_TRUE(kernel_is_at_least("7.0.0", 6, 16));
  EXPECT_FALSE(kernel_is_at_least("6.1.0-13-amd64", 6, 16));
  EXPECT_FALSE(kernel_is_at_least("5.99.0", 6, 16));
  EXPECT_FALSE(kernel_is_at_least("", 6, 16));
  EXPECT_FALSE(kernel_is_at_least("six", 6, 16));
}

TEST_F(PreflightTest, LooksAtEachCriuOnce) {
  script("criu", "echo run >> " + folder_ / "runs" + "; echo 'Version: 4.2.1'");
  const auto warnings = check_criu(group_);
  ASSERT_TRUE(warnings) << warnings.error().message();
  EXPECT_EQ(test::read_file(folder_ / "runs"), "run\n");
}

TEST_F(PreflightTest, RefusesACriuThatWillNotDo) {
  const auto error = [&] {
    const auto result = check_criu(group_);
    return result ? "(no error)" : result.error().message();
  };
  const std::string who = "member \"a\": criu \"" + folder_ / "criu" + "\": ";
  script("criu", "echo 'Version: 3.17.1'");
  EXPECT_EQ(error(), who + "version 3.17.1 is too old: 3.19 is the first with \"--network-lock skip\"");
  script("criu", "echo hello");
  EXPECT_EQ(error(), who + "criu --version: does not tell a version; is it CRIU?");
  script("criu", "echo 'no vdso'; exit 1");
  EXPECT_EQ(error(), who + "--version: exit code 1: no vdso\n");
  group_.members[0].criu = {"/nonexistent/criu"};
  EXPECT_EQ(error(), "member \"a\": criu \"/nonexistent/criu\": not found; install CRIU, or name it by \"criu:\"");
}

TEST_F(PreflightTest, FindsTheHook) {
  EXPECT_EQ(*find_hook(group_), folder_ / "hook");
  test::write_file(folder_ / "hook", "");
  std::filesystem::permissions(folder_ / "hook", std::filesystem::perms::owner_read);
  const auto hook = find_hook(group_);
  ASSERT_FALSE(hook);
  EXPECT_EQ(hook.error().message(), "g.yaml: hook: " + folder_ / "hook" + " is not there, or is no program");
  group_.hook = folder_.path();  // a folder
  EXPECT_FALSE(find_hook(group_));
}

TEST_F(PreflightTest, ComparesRecords) {
  const auto error = [&](const std::vector<Record>& records) {
    const auto result = check_records(group_, records);
    return result ? "(no error)" : result.error().message();
  };
  const Record a = record_of("a");
  const Record b = record_of("b");
  EXPECT_EQ(error({a, b}), "(no error)");
  EXPECT_EQ(error({b, a}), "member \"a\": its images are those of member \"b\"");
  Record other = b;
  other.round = RoundId("r2");
  EXPECT_EQ(error({a, other}),
            "member \"b\": its images are of round r2, those of member \"a\" of round r1: together they are "
            "no consistent checkpoint");
  other = b;
  other.group = GroupId("h");
  EXPECT_EQ(error({a, other}), "member \"b\": its images are of group \"h\"");
  other = b;
  other.members.emplace_back("c");
  EXPECT_EQ(error({a, other}), "member \"c\": took part in the checkpoint and is not in g.yaml");
  other = b;
  other.members = {MemberId("b")};
  EXPECT_EQ(error({a, other}), "member \"a\": did not take part in the checkpoint of member \"b\"");
}

TEST_F(PreflightTest, RefusesToRestoreWithoutWholeRecords) {
  EXPECT_EQ(error_of(preflight_restore(group_)), "member \"a\": " + folder_ / "images/a/lockstep.record" +
                                                     ": is missing: this is no member of a committed checkpoint");
  write_record(record_of("a"), "a");
  test::write_file(folder_ / "images/b/lockstep.record", "torn");
  EXPECT_NE(error_of(preflight_restore(group_)).find("member \"b\": " + folder_ / "images/b/lockstep.record"),
            std::string::npos);
}

TEST_F(PreflightTest, AsksForAPodWhenTheMachineWasRestarted) {
  group_.policy.revalidation = RevalidationPolicy::warn;  // there are no images here to be proved
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  write_record(record_of("a"), "a");
  write_record(record_of("b"), "b");
  EXPECT_NE(error_of(preflight_restore(group_)).find("member \"a\": was dumped on another machine"), std::string::npos);
  group_.members[0].pod = folder_ / "none";
  EXPECT_NE(error_of(preflight_restore(group_)).find("member \"a\": pod: "), std::string::npos);
}

TEST_F(PreflightTest, RefusesTreesOfOurOwnNetwork) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_NE(error_of(preflight_checkpoint(group_)).find("member \"a\": lives in this machine's own network namespace"),
            std::string::npos);
}

TEST_F(PreflightTest, SaysWhichProcessIsMissing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  group_.members[0].pid.reset();
  group_.members[0].pidfile = folder_ / "a.pid";
  EXPECT_NE(error_of(preflight_checkpoint(group_)).find("member \"a\": pidfile: open "), std::string::npos);
  test::write_file(folder_ / "a.pid", std::to_string(child));
  EXPECT_EQ(error_of(preflight_checkpoint(group_)),
            "member \"a\": there is no process " + std::to_string(child) + " (from " + folder_ / "a.pid" + ")");
}

TEST_F(PreflightTest, FindsANamespaceByItsInode) {
  const auto own = open_netns_of(::getpid());
  ASSERT_TRUE(own);
  const auto inode = netns_inode(*own);
  ASSERT_TRUE(inode);
  const auto pod = find_pod(*inode);
  ASSERT_TRUE(pod) << pod.error().message();
  EXPECT_EQ(pod->inode, *inode);
  EXPECT_FALSE(find_pod(1));
}

TEST_F(PreflightTest, ClearsWhatAnEarlierRoundLeft) {
  std::vector<ReadyMember> members(1);
  members[0].member = &group_.members[0];
  members[0].images = members[0].work = group_.members[0].images;
  for (const char* name : {"lockstep.record", "lockstep.record.part", "stats-dump", "stats-restore", "restored.pid"}) {
    test::write_file(folder_ / (std::string("images/a/") + name), "x");
  }
  ASSERT_TRUE(clear_images(Operation::restore, members));
  EXPECT_EQ(test::read_file(folder_ / "images/a/lockstep.record"), "x");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "images/a/restored.pid"));
  ASSERT_TRUE(clear_images(Operation::dump, members));
  EXPECT_EQ(test::read_file(folder_ / "images/a/former/lockstep.record"), "x");
  std::filesystem::remove_all(folder_ / "images/a/former");
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "images/a"));
}

TEST_F(PreflightTest, ClearsTheImagesOfAnEarlierDump) {
  std::vector<ReadyMember> members(1);
  members[0].member = &group_.members[0];
  members[0].images = members[0].work = group_.members[0].images;
  const auto words = [](std::initializer_list<std::uint32_t> list) {
    return std::string(reinterpret_cast<const char*>(list.begin()), 4 * list.size());
  };
  test::write_file(folder_ / "images/a/core-7.img", words({images::kCommonMagic, 1}));
  test::write_file(folder_ / "images/a/pages-1.img", "memory");
  ASSERT_TRUE(clear_images(Operation::dump, members));
  EXPECT_EQ(test::read_file(folder_ / "images/a/pages-1.img"), "memory")
      << "a folder without an inventory is not CRIU's";
  ASSERT_TRUE(clear_images(Operation::dump, members, true));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "images/a")) << "a dump of ours that failed has left them";
  test::write_file(folder_ / "images/a/pages-1.img", "memory");

  test::write_file(folder_ / "images/a/inventory.img", words({images::kInventoryMagic}));
  test::write_file(folder_ / "images/a/disk.img", "of a virtual machine");
  test::write_file(folder_ / "images/a/notes.txt", words({images::kCommonMagic}));
  ASSERT_TRUE(clear_images(Operation::restore, members));
  EXPECT_EQ(test::read_file(folder_ / "images/a/pages-1.img"), "memory");
  ASSERT_TRUE(clear_images(Operation::dump, members));
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "images/a")) {
    left.insert(entry.path().filename());
  }
  EXPECT_EQ(left, (std::set<std::string>{"disk.img", "notes.txt"}));
}

TEST_F(PreflightTest, OnlyAnotherPodGetsTheTrackedConnections) {
  std::vector<ReadyMember> members(1);
  members[0].member = &group_.members[0];
  members[0].images = members[0].work = group_.members[0].images;
  members[0].pod = PodId{"boot", 7};
  members[0].record.emplace().pod = PodId{"boot", 7};
  test::write_file(folder_ / "images/a/netns-ct-9.img", "x");
  const auto there = [this] { return std::filesystem::exists(folder_ / "images/a/netns-ct-9.img"); };
  ASSERT_TRUE(clear_images(Operation::restore, members));
  EXPECT_FALSE(there());
  ASSERT_TRUE(clear_images(Operation::restore, members));
  EXPECT_FALSE(there());
  members[0].pod.netns_inode = 8;
  ASSERT_TRUE(clear_images(Operation::restore, members));
  EXPECT_TRUE(there());
  members[0].pod.netns_inode = 7;
  ASSERT_TRUE(clear_images(Operation::restore, members));
  ASSERT_TRUE(clear_images(Operation::dump, members));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "images/a"));
}

}  // namespace
}  // namespace lockstep::cli
