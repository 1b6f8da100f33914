/// Each fact and what is found in it.
#include "cli/examine/examine.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace lockstep::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

OpenFile anonymous(const std::string& name) {
  return {.fd = 7, .path = "anon_inode:" + name, .kind = FileKind::anonymous};
}

OpenFile device(const std::string& path, unsigned major, unsigned minor) {
  return {.fd = 7, .path = path, .kind = FileKind::character, .device_major = major, .device_minor = minor};
}

OpenFile socket_of(int family, int type, int protocol, std::uint64_t peer = 0, const std::string& name = {}) {
  OpenFile file{.fd = 7, .path = "socket:[1]", .kind = FileKind::socket, .inode = 1};
  file.socket = SocketFacts{family, type, protocol, peer, name};
  return file;
}

OpenFile regular(const std::string& path, std::uint64_t links, std::uint64_t bytes, bool locked = false) {
  return {.fd = 7, .path = path, .kind = FileKind::regular, .links = links, .bytes = bytes, .locked = locked};
}

/// A tree of two: 100, the leader of its session, and its child 101.
TreeFacts plain_tree() {
  TreeFacts tree;
  tree.root = 100;
  tree.processes.resize(2);
  tree.processes[0].pid = tree.processes[0].session = 100;
  tree.processes[0].name = "server";
  tree.processes[1].pid = 101;
  tree.processes[1].parent = tree.processes[1].session = 100;
  tree.processes[1].name = "worker";
  return tree;
}

TreeFacts with(OpenFile file) {
  TreeFacts tree = plain_tree();
  tree.processes[1].files.push_back(std::move(file));
  return tree;
}

TEST(Examine, FindsNothingInAPlainTree) { EXPECT_TRUE(examine(plain_tree(), {}).empty()); }

TEST(Examine, JudgesEachKindOfDescriptor) {
  struct Row {
    OpenFile file;
    const char* severity;  ///< empty: no finding
    const char* what;
    std::vector<std::string> options = {};
  };
  const std::vector<Row> rows{
      {anonymous("[eventfd]"), "", ""},
      {anonymous("[eventpoll]"), "", ""},
      {anonymous("inotify"), "", ""},
      {anonymous("[io_uring]"), "fatal", "uses io_uring"},
      {anonymous("[userfaultfd]"), "fatal", "uses userfaultfd"},
      {anonymous("[perf_event]"), "fatal", "perf_event"},
      {anonymous("kvm-vm"), "fatal", "has anon_inode:kvm-vm open"},
      {device("/dev/null", 1, 3), "", ""},
      {device("/dev/net/tun", 10, 200), "", ""},
      {device("/dev/fuse", 10, 229), "fatal", "has the device /dev/fuse open"},
      {device("/dev/nvidia0", 195, 0), "fatal", "has the device /dev/nvidia0 open"},
      {device("/dev/pts/3", 136, 3), "fatal", "has the terminal /dev/pts/3 open"},
      {{.fd = 7, .path = "/dev/sda", .kind = FileKind::block}, "fatal", "has the block device /dev/sda open"},
      {socket_of(AF_INET, SOCK_STREAM, IPPROTO_TCP), "", ""},
      {socket_of(AF_INET6, SOCK_DGRAM, IPPROTO_UDP), "", ""},
      {socket_of(AF_NETLINK, SOCK_RAW, 0), "", ""},
      {socket_of(AF_INET, SOCK_STREAM, 262), "fatal", "has an MPTCP socket"},
      {socket_of(AF_INET, SOCK_STREAM, IPPROTO_SCTP), "fatal", "of a kind that CRIU does not know"},
      {socket_of(AF_VSOCK, SOCK_STREAM, 0), "fatal", "of a kind that CRIU does not know"},
      {socket_of(AF_UNIX, SOCK_STREAM, 0), "", ""},
      {socket_of(AF_UNIX, SOCK_STREAM, 0, 55), "fatal", "unix socket whose other end is outside of the tree"},
      {socket_of(AF_UNIX, SOCK_SEQPACKET, 0, 55, "/run/x"), "fatal", "outside of the tree (/run/x)"},
      {socket_of(AF_UNIX, SOCK_DGRAM, 0, 55), "fatal", "outside of the tree"},
      {socket_of(AF_UNIX, SOCK_DGRAM, 0, 55, "/dev/log"), "option", "(/dev/log)", {"--ext-unix-sk"}},
      {regular("/data/x", 1, 10 * kMiB), "", ""},
      {regular("/data/x", 1, 0, true), "option", "holds a lock on /data/x", {"--file-locks"}},
      {regular("/data/x (deleted)", 0, kMiB), "", ""},
      {regular("/data/x (deleted)", 0, kMiB + 512), "option", "unlinked file of 2 MiB", {"--ghost-limit", "4194304"}},
      {regular("/data/x (deleted)", 1, 10), "option", "still has another name", {"--link-remap"}},
      {regular("/memfd:heap (deleted)", 0, 10 * kMiB), "", ""},
  };
  for (const Row& row : rows) {
    const auto findings = examine(with(row.file), {});
    if (*row.severity == 0) {
      EXPECT_TRUE(findings.empty()) << row.file.path << ": " << findings.front().text();
      continue;
    }
    ASSERT_EQ(findings.size(), 1U) << row.file.path;
    EXPECT_EQ(to_string(findings[0].severity), row.severity) << row.file.path;
    EXPECT_NE(findings[0].what.find(row.what), std::string::npos) << findings[0].what;
    EXPECT_EQ(findings[0].options, row.options);
    EXPECT_EQ(findings[0].pid, 101);
    EXPECT_EQ(findings[0].fd, 7);
    EXPECT_EQ(findings[0].text().substr(0, 36), "process 101 (worker), descriptor 7: ") << findings[0].text();
    EXPECT_FALSE(findings[0].remedy.empty());
  }
}

TEST(Examine, HintsAtUnacceptedConnectionsOncePerListener) {
  OpenFile listener = socket_of(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  listener.socket->local = "*:80";
  EXPECT_TRUE(examine(with(listener), {}).empty());
  listener.socket->unaccepted = 3;
  TreeFacts tree = with(listener);
  tree.processes[0].files.push_back(listener);  // workers share it
  const auto findings = examine(tree, {});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].severity, Severity::note);
  EXPECT_EQ(findings[0].what, "has 3 connections at its listener *:80 that are not accepted yet");
  EXPECT_TRUE(examine(tree, {"--skip-in-flight"}).empty());
}

TEST(Examine, TakesWhatTheUserGivesForGranted) {
  struct Row {
    OpenFile file;
    std::vector<std::string> given;
  };
  for (const Row& row : {Row{device("/dev/pts/3", 136, 3), {"--shell-job"}}, Row{device("/dev/pts/3", 136, 3), {"-j"}},
                         Row{device("/dev/pts/3", 136, 3), {"--external", "tty[8803:3]"}},
                         Row{device("/dev/pts/0", 136, 0), {"--orphan-pts-master"}},
                         Row{socket_of(AF_UNIX, SOCK_STREAM, 0, 55), {"--external=unix[55]"}},
                         Row{socket_of(AF_UNIX, SOCK_DGRAM, 0, 55, "/dev/log"), {"-x"}},
                         Row{regular("/data/x", 1, 0, true), {"--file-locks"}},
                         Row{regular("/data/x (deleted)", 1, 10), {"--link-remap"}},
                         Row{regular("/data/x (deleted)", 0, 3 * kMiB), {"--ghost-limit", "4M"}},
                         Row{regular("/data/x (deleted)", 0, 3 * kMiB), {"--ghost-limit=4194304"}}}) {
    const auto findings = examine(with(row.file), row.given);
    EXPECT_TRUE(findings.empty()) << row.file.path << ": " << findings.front().text();
  }
  const auto findings = examine(with(regular("/data/x (deleted)", 0, 3 * kMiB)), {"--ghost-limit", "2M"});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].severity, Severity::fatal) << "CRIU takes the user's";
}

TEST(Examine, KnowsTheOtherEndsInsideOfTheTree) {
  TreeFacts tree = with(socket_of(AF_UNIX, SOCK_STREAM, 0, 2));
  tree.processes[0].files.push_back({.fd = 4, .path = "socket:[2]", .kind = FileKind::socket, .inode = 2});
  tree.processes[1].files.push_back(device("/dev/pts/3", 136, 3));
  OpenFile master = device("/dev/pts/ptmx", 5, 2);
  master.pty_of = 3;
  tree.processes[0].files.push_back(master);
  EXPECT_TRUE(examine(tree, {}).empty());
}

TEST(Examine, JudgesMaps) {
  struct Row {
    MappedFile map;
    bool shares_ipc;
    const char* severity;
  };
  for (const Row& row :
       {Row{{"/usr/lib/libc.so.6", 1, 4 * kMiB}, true, ""}, Row{{"/SYSV00000000 (deleted)", 1, 0}, true, "fatal"},
        Row{{"/SYSV00000000 (deleted)", 1, 0}, false, ""}, Row{{"anon_inode:[io_uring]", 1, 0}, false, "fatal"},
        Row{{"/dev/zero (deleted)", 0, 9 * kMiB}, false, ""},
        Row{{"/dev/shm/x (deleted)", 0, 9 * kMiB}, false, "option"},
        Row{{"/usr/lib/x (deleted)", 1, 0}, false, "option"}, Row{{"/usr/lib/x (deleted)", 1, 0, false}, false, ""}}) {
    TreeFacts tree = plain_tree();
    tree.processes[0].shares_ipc = row.shares_ipc;
    tree.processes[0].maps.push_back(row.map);
    const auto findings = examine(tree, {});
    EXPECT_EQ(findings.empty() ? "" : to_string(findings[0].severity), row.severity) << row.map.path;
  }
}

TEST(Examine, JudgesProcessesAndTheirLimits) {
  TreeFacts tree = plain_tree();
  tree.processes[1].tracer = 9;
  tree.processes[0].session = 3;
  tree.processes[0].limits = {{"Max open files", 10, 4096}, {"Max stack size", 10, kUnlimited}};
  tree.own_limits = {{"Max open files", 10, 1024}, {"Max stack size", 10, kUnlimited}};
  tree.outsiders = {{50, "daemon", "is in the session of process 100"}};
  EXPECT_EQ(examine(tree, {}).size(), 3U) << "CRIU may raise limits";
  tree.may_raise_limits = false;
  const auto findings = examine(tree, {});
  ASSERT_EQ(findings.size(), 4U);
  EXPECT_EQ(findings[0].text(), "process 101 (worker): is traced by process 9; detach the debugger or tracer first");
  EXPECT_EQ(findings[1].options, std::vector<std::string>{"--shell-job"});
  EXPECT_NE(findings[2].what.find("Max open files: 4096, CRIU's 1024"), std::string::npos) << findings[2].what;
  EXPECT_EQ(findings[3].pid, 50);
  EXPECT_EQ(findings[3].severity, Severity::note);
  EXPECT_TRUE(any_fatal(findings));
}

TEST(Options, AreGatheredOnceWithTheLargestGhostLimit) {
  TreeFacts tree = plain_tree();
  for (ProcessFacts& process : tree.processes) {
    process.files = {regular("/a", 1, 0, true), regular("/b (deleted)", 0, 3 * kMiB),
                     regular("/c (deleted)", 0, 8 * kMiB)};
  }
  const auto findings = examine(tree, {});
  const std::vector<std::string> of_dump{"--file-locks", "--ghost-limit", std::to_string(18 * kMiB)};
  EXPECT_EQ(options_of(findings, false), of_dump);
  EXPECT_EQ(options_of(findings, true), std::vector<std::string>{"--file-locks"});
  EXPECT_FALSE(any_fatal(findings));
}

}  // namespace
}  // namespace lockstep::cli
