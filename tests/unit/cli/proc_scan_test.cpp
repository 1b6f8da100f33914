/// The kernel's texts, and a look at real processes.
#include "cli/scan/proc_scan.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "cli/examine/examine.hpp"
#include "cli/scan/unix_sockets.hpp"
#include "cli/tree_check.hpp"
#include "common/fd.hpp"
#include "tests/unit/support/temp_dir.hpp"

namespace lockstep::cli {
namespace {

TEST(ProcText, ReadsStat) {
  const auto stat = parse_stat("42 (a) b (c) S 7 8 9 34816 42 4194560 1 2");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 42);
  EXPECT_EQ(stat->name, "a) b (c");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->group, 8);
  EXPECT_EQ(stat->session, 9);
  for (const char* wrong : {"", "42", "42 (a", "x (a) S 1 2 3", "42 (a) S", ") 1 (", "(a) S 1 2 3"}) {
    EXPECT_FALSE(parse_stat(wrong)) << wrong;
  }
}

TEST(ProcText, ReadsValues) {
  const std::string text = "pos:\t0\nlock:\t1: FLOCK  ADVISORY  WRITE 12 00:2d:123 0 EOF\ntty-index:\t17\n";
  EXPECT_EQ(value_of(text, "tty-index"), "17");
  EXPECT_EQ(value_of(text, "lock").substr(0, 8), "1: FLOCK");
  EXPECT_EQ(value_of(text, "po"), "");
  EXPECT_EQ(value_of("", "x"), "");
}

TEST(ProcText, ReadsLimits) {
  const auto limits = parse_limits(
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max cpu time              unlimited            unlimited            seconds   \n"
      "Max open files            1024                 524288               files     \n"
      "Max nonsense              x                    y\n");
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0], (Limit{"Max cpu time", kUnlimited, kUnlimited}));
  EXPECT_EQ(limits[1], (Limit{"Max open files", 1024, 524'288}));
}

TEST(ProcText, ReadsMapsOfFilesOnce) {
  const auto maps = parse_maps(
      "55d0-55d1 r--p 00000000 fd:01 123                        /usr/bin/a\\040b\n"
      "55d1-55d2 r-xp 00001000 fd:01 123                        /usr/bin/a\\040b\n"
      "7f00-7f01 rw-p 00000000 00:00 0                          [heap]\n"
      "7f01-7f02 rw-p 00000000 00:00 0 \n"
      "7f02-7f03 rw-s 00000000 00:01 7                          /SYSV00000000 (deleted)\n"
      "00400000-08048000 r--p 00000000 fd:01 9                  /usr/bin/low\n"
      "00000000-00001000 r--p 00000000 fd:01 9                  /usr/bin/low\n");
  ASSERT_EQ(maps.size(), 3U);
  EXPECT_EQ(maps[0].range, "55d0-55d1");
  EXPECT_EQ(maps[0].path, "/usr/bin/a b");
  EXPECT_EQ(maps[1].path, "/SYSV00000000 (deleted)");
  EXPECT_EQ(maps[2].range, "400000-8048000") << "as map_files names it";
  EXPECT_EQ(parse_maps("00000000-00001000 r--p 00000000 fd:01 9 /x\n").at(0).range, "0-1000");
}

TEST(UnixSockets, SurviveAnyDatagram) {
  UnixSockets sockets;
  std::string bytes(64, '\0');
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  std::memcpy(bytes.data(), &header, sizeof header);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    for (const char filler : {'\0', '\xff'}) {
      std::string cut = bytes.substr(0, size);
      for (std::size_t i = sizeof header; i < cut.size(); ++i) cut[i] = filler;
      (void)take_unix_sockets(cut, sockets).has_value();
    }
  }
}

TEST(TreeOf, FollowsParentsAndLeavesZombiesOut) {
  const ProcessList processes{{1, {1, 0, 1, 'S', "init"}},      {10, {10, 1, 10, 'S', "root"}},
                              {11, {11, 10, 10, 'S', "child"}}, {12, {12, 11, 12, 'R', "grandchild"}},
                              {13, {13, 10, 10, 'Z', "dead"}},  {14, {14, 1, 10, 'S', "daemon"}},
                              {15, {15, 1, 15, 'S', "other"}}};
  EXPECT_EQ(tree_of(processes, 10), (std::vector<pid_t>{10, 11, 12}));
  EXPECT_TRUE(tree_of(processes, 99).empty());
  const auto outsiders = outsiders_of(processes, {10, 11, 12}, {10, 11, 12});
  ASSERT_EQ(outsiders.size(), 1U);
  EXPECT_EQ(outsiders[0].pid, 14);
  EXPECT_TRUE(outsiders_of(processes, {10, 11, 12}, {10, 11, 12, 14}).empty()) << "a member of its own";
}

/// A child that does what `prepare` does, and waits.
class Child {
 public:
  explicit Child(const std::function<void()>& prepare) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      ::setsid();
      prepare();
      (void)!::write(ends[1], "x", 1);
      ::close(ends[1]);
      while (true) ::pause();
    }
    ::close(ends[1]);
    char ready = 0;
    (void)!::read(ends[0], &ready, 1);
    ::close(ends[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::vector<Finding> findings() const {
    const ProcessList processes = list_processes();
    const auto facts = scan_tree(processes, pid_, {pid_});
    if (!facts) throw std::runtime_error(facts.error().message());
    return examine(*facts, {});
  }

 private:
  pid_t pid_ = 0;
};

/// The findings that name a descriptor of the child's; a test runner may have left others open.
std::string all_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) text += finding.text() + "\n";
  return text;
}

TEST(ScanTree, SeesWhatARealProcessHolds) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, as CRIU does";
  const test::TempDir folder;
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const Fd outer(pair[0]);
  const Fd inner(pair[1]);
  const Child child([&] {
    ::close(pair[0]);
    const int locked = ::open((folder / "locked").c_str(), O_CREAT | O_RDWR, 0600);
    ::flock(locked, LOCK_EX);
    const int ghost = ::open((folder / "ghost").c_str(), O_CREAT | O_RDWR, 0600);
    const std::string block(std::size_t{1} << 20, 'x');
    for (int i = 0; i < 3; ++i) (void)!::write(ghost, block.data(), block.size());
    ::unlink((folder / "ghost").c_str());
    ::eventfd(0, 0);
    int own[2];
    (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, own);
  });
  const auto findings = child.findings();
  const std::string text = all_of(findings);
  EXPECT_NE(text.find("holds a lock on " + folder / "locked"), std::string::npos) << text;
  EXPECT_NE(text.find("unlinked file of"), std::string::npos) << text;
  const std::string unix_end =
      "descriptor " + std::to_string(pair[1]) + ": has a unix socket whose other end is outside";
  EXPECT_NE(text.find(unix_end), std::string::npos) << text;
  EXPECT_EQ(text.find("eventfd"), std::string::npos) << text;
}

TEST(ScanTree, SeesConnectionsThatNobodyHasAccepted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, as CRIU does";
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 5), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const Child child([] {});
  EXPECT_EQ(all_of(child.findings()).find("not accepted"), std::string::npos);
  const Fd one(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd two(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const Fd* client : {&one, &two}) {
    ASSERT_EQ(::connect(client->get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  const std::string text = all_of(child.findings());
  EXPECT_NE(text.find("descriptor " + std::to_string(listener.get()) +
                      ": has 2 connections at its listener 127.0.0.1:" + std::to_string(ntohs(address.sin_port)) +
                      " that are not accepted yet"),
            std::string::npos)
      << text;
}

TEST(ScanTree, SeesMptcp) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, as CRIU does";
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262));
  if (!socket) GTEST_SKIP() << "this kernel has no MPTCP: " << std::strerror(errno);
  const Child child([] {});
  EXPECT_NE(all_of(child.findings()).find("has an MPTCP socket"), std::string::npos);
}

TEST(ForPodman, ItsOwnWordsStayAndTheRestBecomesALineOfAFile) {
  const auto findings = for_podman({{Severity::option, 1, "a", 3, "w", "r", {"--file-locks"}, true},
                                    {Severity::option, 1, "a", 3, "w", "r", {"--ghost-limit", "4194304"}, false},
                                    {Severity::fatal, 1, "a", 3, "w", "r", {}, false}});
  EXPECT_EQ(findings[0].options, std::vector<std::string>{"--file-locks"});
  EXPECT_EQ(findings[1].severity, Severity::note);
  EXPECT_NE(findings[1].remedy.find("\"ghost-limit 4194304\" in /etc/criu/runc.conf"), std::string::npos);
  EXPECT_TRUE(findings[1].options.empty());
  EXPECT_EQ(findings[2].severity, Severity::fatal);
}

TEST(KeptOptions, ComeBackWithTheImages) {
  const test::TempDir folder;
  GroupMember member;
  ReadyMember ready;
  ready.member = &member;
  ready.images = folder.path();
  ready.findings = {{Severity::option, 1, "a", 3, "w", "r", {"--shell-job"}, true},
                    {Severity::option, 1, "a", 3, "w", "r", {"--link-remap"}, false}};
  ASSERT_TRUE(keep_options(ready));
  EXPECT_EQ(*kept_options(ready), std::vector<std::string>{"--shell-job"});
  test::write_file(folder / "filelocks.img", "12345678 and an entry");
  EXPECT_EQ(*kept_options(ready), (std::vector<std::string>{"--shell-job", "--file-locks"}));
  member.criu_options = {"--shell-job"};
  EXPECT_EQ(*kept_options(ready), std::vector<std::string>{"--file-locks"}) << "what the user gives is not said twice";
  ready.findings.clear();
  ASSERT_TRUE(keep_options(ready));
  EXPECT_FALSE(std::filesystem::exists(folder / std::string(kOptionsFile)));
}

TEST(KeptOptions, AreOnlyThoseThatLockstepKeeps) {
  const test::TempDir folder;
  GroupMember member;
  member.id = MemberId("db");
  ReadyMember ready;
  ready.member = &member;
  ready.images = folder.path();
  const std::string path = folder / std::string(kOptionsFile);
  test::write_file(path, "--file-locks\n--ext-unix-sk\n\n--shell-job\n");
  EXPECT_EQ(*kept_options(ready), (std::vector<std::string>{"--file-locks", "--ext-unix-sk", "--shell-job"}));
  for (const char* line : {"--action-script=/tmp/x", "--file-locks=1", "--ghost-limit", "--shell-job ", "1024", "-j"}) {
    test::write_file(path, std::string("--file-locks\n") + line + "\n");
    const auto kept = kept_options(ready);
    ASSERT_FALSE(kept) << line;
    EXPECT_EQ(kept.error().code, ErrorCode::invalid);
    EXPECT_TRUE(kept.error().message().starts_with("member \"db\": " + path + ": has the line \"" + line + "\""))
        << kept.error().message();
  }
  member.driver = Driver::podman;
  EXPECT_EQ(*kept_options(ready), std::vector<std::string>{}) << "Podman's own images have no such file";
}

}  // namespace
}  // namespace lockstep::cli
