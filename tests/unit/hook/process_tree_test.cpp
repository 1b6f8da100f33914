#include "agent/hook/process_tree.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/fd.hpp"

namespace lockstep::hook {
namespace {

std::uint64_t inode_of(const Fd& fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd.get(), &status), 0);
  return status.st_ino;
}

Fd open_socket() { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

bool contains(const std::vector<std::uint64_t>& inodes, std::uint64_t inode) {
  return std::binary_search(inodes.begin(), inodes.end(), inode);
}

/// A child and a grandchild; the grandchild opens a socket and tells its inode, and both wait to be killed. A zombie
/// is left between them.
class Family {
 public:
  Family() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd reading(ends[0]);
    Fd writing(ends[1]);
    child_ = ::fork();
    if (child_ == 0) run_child(writing.get());
    writing.reset();
    EXPECT_EQ(::read(reading.get(), &grandchild_inode_, sizeof grandchild_inode_), sizeof grandchild_inode_);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    ::kill(-child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  [[nodiscard]] pid_t child() const { return child_; }
  [[nodiscard]] std::uint64_t grandchild_inode() const { return grandchild_inode_; }

 private:
  /// Only what may be called after a fork from a program with threads.
  [[noreturn]] static void run_child(int report) {
    ::setpgid(0, 0);
    if (::fork() == 0) ::_exit(0);
    if (::fork() == 0) {
      struct stat status {};
      ::fstat(::socket(AF_INET, SOCK_STREAM, 0), &status);
      const std::uint64_t inode = status.st_ino;
      if (::write(report, &inode, sizeof inode) < 0) ::_exit(1);
    }
    while (true) ::pause();
  }

  pid_t child_ = 0;
  std::uint64_t grandchild_inode_ = 0;
};

TEST(SocketInodeIn, ReadsSocketsAndNothingElse) {
  EXPECT_EQ(socket_inode_in("socket:[12345]"), 12345U);
  for (const char* link : {"", "pipe:[12345]", "/tmp/socket:[1]", "socket:[", "socket:[]", "socket:[1", "socket:[1x]",
                           "socket:[99999999999999999999999]"}) {
    EXPECT_EQ(socket_inode_in(link), 0U) << link;
  }
}

TEST(SocketInodesOfTree, FindsOwnSocketsEachOnce) {
  const Fd one = open_socket();
  const Fd other = open_socket();
  const Fd again(::dup(one.get()));
  const auto inodes = socket_inodes_of_tree(::getpid(), 1000);
  ASSERT_TRUE(inodes) << inodes.error().message();
  EXPECT_TRUE(contains(*inodes, inode_of(one)));
  EXPECT_TRUE(contains(*inodes, inode_of(other)));
  EXPECT_EQ(std::count(inodes->begin(), inodes->end(), inode_of(one)), 1);
  EXPECT_TRUE(std::is_sorted(inodes->begin(), inodes->end()));
}

TEST(SocketInodesOfTree, GoesDownToGrandchildrenAndPastZombies) {
  const Fd inherited(::socket(AF_INET, SOCK_STREAM, 0));
  const Family family;
  const auto inodes = socket_inodes_of_tree(family.child(), 1000);
  ASSERT_TRUE(inodes) << inodes.error().message();
  EXPECT_TRUE(contains(*inodes, family.grandchild_inode()));
  EXPECT_TRUE(contains(*inodes, inode_of(inherited)));
}

TEST(SocketInodesOfTree, RefusesMoreThanTheLimit) {
  std::vector<Fd> sockets;
  for (int i = 0; i < 10; ++i) sockets.push_back(open_socket());
  const auto inodes = socket_inodes_of_tree(::getpid(), 3);
  ASSERT_FALSE(inodes);
  EXPECT_EQ(inodes.error().code, ErrorCode::invalid);
}

TEST(SocketInodesOfTree, TellsThatTheRootIsGone) {
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  EXPECT_FALSE(socket_inodes_of_tree(gone, 1000));
}

}  // namespace
}  // namespace lockstep::hook
