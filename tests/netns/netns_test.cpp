/// common/netns: names of namespaces, going in and coming back.
#include "common/netns.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/netns/test_netns.hpp"

namespace lockstep::testing {
namespace {

std::uint64_t current_inode() { return must(netns_inode(must(open_netns("/proc/thread-self/ns/net")))); }

TEST(Netns, NamesAreTheKernels) {
  TestNetns pod;
  const std::string link = pod.run({"readlink", "/proc/self/ns/net"});
  EXPECT_EQ(link, "net:[" + std::to_string(must(netns_inode(pod.fd()))) + "]\n");
  EXPECT_EQ(must(netns_inode(must(open_netns_of(::getpid())))), current_inode());
  EXPECT_EQ(must(netns_inode(must(open_netns(pod.path())))), must(netns_inode(pod.fd())));
  EXPECT_EQ(must(boot_id()).size(), 36U);
}

TEST(Netns, ScopesNest) {
  TestNetns first;
  TestNetns second;
  const std::uint64_t home = current_inode();
  {
    const auto outer = must(NetnsScope::enter(first.fd()));
    EXPECT_EQ(current_inode(), must(netns_inode(first.fd())));
    {
      const auto inner = must(NetnsScope::enter(second.fd()));
      EXPECT_EQ(current_inode(), must(netns_inode(second.fd())));
    }
    EXPECT_EQ(current_inode(), must(netns_inode(first.fd())));
  }
  EXPECT_EQ(current_inode(), home);
}

TEST(Netns, RefusesWhatIsNone) {
  EXPECT_EQ(open_netns("/proc/self/ns/mnt").error().code, ErrorCode::invalid);
  EXPECT_EQ(open_netns("/dev/null").error().code, ErrorCode::invalid);
  EXPECT_EQ(open_netns("/nonexistent").error().code, ErrorCode::not_found);
  EXPECT_EQ(open_netns_of(0x7fffffff).error().code, ErrorCode::not_found);
  EXPECT_FALSE(NetnsScope::enter(Fd(::dup(STDIN_FILENO))));
}

}  // namespace
}  // namespace lockstep::testing
