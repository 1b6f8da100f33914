/// common/netns: names of namespaces, going in and coming back.
#include "common/netns.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "common/clock.hpp"
#include "tests/netns/test_netns.hpp"
#include "tests/unit/support/temp_dir.hpp"

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

TEST(Netns, DoesNotWaitForWhoeverWritesToAFifo) {
  const test::TempDir folder;
  const std::string fifo = folder / "pod";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  // Lets an open() that waits go on, so that the test ends also then.
  std::atomic<bool> returned = false;
  const std::jthread writer([&] {
    const TimePoint end = Clock::now() + seconds(5);
    while (!returned && Clock::now() < end) std::this_thread::sleep_for(milliseconds(1));
    if (!returned) Fd(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  });
  const TimePoint begin = Clock::now();
  EXPECT_EQ(open_netns(fifo).error().code, ErrorCode::invalid);
  returned = true;
  EXPECT_LT(Clock::now() - begin, seconds(4));
}

}  // namespace
}  // namespace lockstep::testing
