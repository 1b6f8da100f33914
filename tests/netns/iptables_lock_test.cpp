/// iptables: stale chains, and programs that fail.
#include "agent/kernel/iptables_lock.hpp"

#include "agent/kernel/netns_command.hpp"
#include "tests/netns/pod_fixture.hpp"

namespace lockstep::testing {
namespace {

constexpr const char* kStaleRules = R"(*filter
:LOCKSTEP-IN - [0:0]
:LOCKSTEP-OUT - [0:0]
-A INPUT -j LOCKSTEP-IN
-A INPUT -j LOCKSTEP-IN
-A OUTPUT -j LOCKSTEP-OUT
-A INPUT -s 192.0.2.1/32 -j DROP
-A LOCKSTEP-IN -j DROP
COMMIT
)";

class IptablesLockTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = IptablesLock::create(pod_.fd(), {}, GetParam());
    if (!made) GTEST_SKIP() << made.error().message();
    lock_ = std::move(*made);
    pod_.run({"iptables" + GetParam() + "-restore"}, kStaleRules);
    pod_.run({"ip6tables" + GetParam() + "-restore"},
             std::string(kStaleRules).replace(std::string(kStaleRules).find("192.0.2.1/32"), 12, "2001:db8::1/128"));
  }
  std::string saved(const std::string& program) const {
    return pod_.run({program + GetParam() + "-save", "-t", "filter"});
  }

  TestNetns pod_;
  std::unique_ptr<PodLock> lock_;
};
INSTANTIATE_TEST_SUITE_P(Flavours, IptablesLockTest, ::testing::Values("-nft", "-legacy"),
                         [](const auto& flavour) { return flavour.param.substr(1); });

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_P(IptablesLockTest, PrepareReplacesStaleChainsAndKeepsTheRest) {
  must(lock_->prepare());
  for (const char* program : {"iptables", "ip6tables"}) {
    const std::string rules = saved(program);
    EXPECT_EQ(count(rules, "-A INPUT -j LOCKSTEP-IN"), 1U) << rules;
    EXPECT_EQ(count(rules, "-A OUTPUT -j LOCKSTEP-OUT"), 1U) << rules;
    EXPECT_EQ(count(rules, "-A LOCKSTEP"), 0U) << rules;
    EXPECT_EQ(count(rules, "-A INPUT -s"), 1U) << rules;
    EXPECT_LT(rules.find("-A INPUT -j LOCKSTEP-IN"), rules.find("-A INPUT -s")) << rules;
  }
}

TEST_P(IptablesLockTest, RemoveTakesEverythingOfOursAway) {
  must(lock_->remove());
  for (const char* program : {"iptables", "ip6tables"}) {
    const std::string rules = saved(program);
    EXPECT_EQ(count(rules, "LOCKSTEP"), 0U) << rules;
    EXPECT_EQ(count(rules, "-A INPUT -s"), 1U) << rules;
  }
}

TEST_P(IptablesLockTest, DisarmWithoutPrepareOpens) {
  EXPECT_FALSE(UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(kBlocked));
  must(lock_->disarm());
  EXPECT_TRUE(UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(kArrives));
}

TEST(IptablesPrograms, AreNamedWhenTheyAreMissing) {
  TestNetns pod;
  auto lock = IptablesLock::create(pod.fd(), {}, "-of-nobody");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, ErrorCode::not_found);
  EXPECT_NE(lock.error().message().find("iptables-of-nobody-restore"), std::string::npos) << lock.error().message();
}

TEST(NetnsCommand, RunsInsideAndTellsWhatItSaid) {
  TestNetns pod;
  auto outcome = must(run_in_netns(pod.fd(), {"/bin/sh", "-c", "cat; readlink /proc/self/ns/net; echo no >&2; exit 3"},
                                   "in\n", seconds(5)));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.output, "in\nnet:[" + std::to_string(must(netns_inode(pod.fd()))) + "]\n");
  EXPECT_EQ(outcome.errors, "no\n");
}

TEST(NetnsCommand, IsKilledAtItsLimit) {
  TestNetns pod;
  const TimePoint start = Clock::now();
  auto outcome = run_in_netns(pod.fd(), {"/bin/sleep", "30"}, {}, milliseconds(100));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::timeout);
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST(NetnsCommand, NamesAProgramThatIsNotThere) {
  TestNetns pod;
  auto outcome = run_in_netns(pod.fd(), {"/nonexistent"}, {}, seconds(1));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().sys_errno, ENOENT);
}

}  // namespace
}  // namespace lockstep::testing
