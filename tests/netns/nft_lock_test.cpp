/// nf_tables: what the table looks like, and what becomes of other people's.
#include "agent/kernel/nft_lock.hpp"

#include "tests/netns/pod_fixture.hpp"

namespace lockstep::testing {
namespace {

/// A table of our name that somebody else has put there, and that lets nothing through.
constexpr const char* kStaleTable = R"(
  table inet lockstep {
    set armed { type ipv4_addr; }
    chain in { type filter hook input priority -400; drop; }
    chain stale { type filter hook output priority 0; drop; }
  })";

class NftLockTest : public ::testing::Test {
 protected:
  bool loopback_open() { return UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(kBlocked); }
  std::string ruleset() const { return pod_.run({"nft", "list", "ruleset"}); }

  TestNetns pod_;
};

TEST_F(NftLockTest, NftShowsTheTable) {
  auto lock = must(create_pod_lock(pod_.fd(), LockBackend::nftables,
                                   {make_endpoint("10.0.0.1", 7070), make_endpoint("fd00::1", 7070)}));
  EXPECT_EQ(lock->backend(), "nftables");
  EXPECT_EQ(ruleset(), R"(table inet lockstep {
	set armed {
		type ether_type
		flags timeout
	}

	set rearmed {
		type ether_type
		flags timeout
	}

	set resets {
		type ether_type
		flags timeout
	}

	set closing4 {
		type ipv4_addr . inet_service . ipv4_addr . inet_service
		flags timeout
	}

	set closing6 {
		type ipv6_addr . inet_service . ipv6_addr . inet_service
		flags timeout
	}

	chain in {
		type filter hook input priority -400; policy accept;
		meta mark 0x0000c114 accept
		icmpv6 type 133-136 accept
		ip saddr 10.0.0.1 tcp sport 7070 accept
		ip6 saddr fd00::1 tcp sport 7070 accept
		tcp flags ! syn ip saddr . tcp sport . ip daddr . tcp dport @closing4 accept
		tcp flags ! syn ip6 saddr . tcp sport . ip6 daddr . tcp dport @closing6 accept
		meta protocol @armed drop
		meta protocol @rearmed drop
		meta protocol @armed drop
	}

	chain out {
		type filter hook output priority -400; policy accept;
		meta mark 0x0000c114 accept
		icmpv6 type 133-136 accept
		ip daddr 10.0.0.1 tcp dport 7070 accept
		ip6 daddr fd00::1 tcp dport 7070 accept
		tcp flags & rst == rst meta protocol @resets accept
		meta protocol @armed drop
		meta protocol @rearmed drop
		meta protocol @armed drop
	}
}
)");
  must(lock->arm(seconds(20)));
  const std::string armed = ruleset();
  EXPECT_NE(armed.find("ip timeout 20s"), std::string::npos) << armed;
  EXPECT_NE(armed.find("ip6 timeout 20s"), std::string::npos) << armed;
  // What nft prints, nft can load again.
  must(lock->remove());
  pod_.run({"nft", "-f", "-"}, armed);
  EXPECT_FALSE(loopback_open());
}

TEST_F(NftLockTest, PrepareReplacesAStaleTable) {
  pod_.run({"nft", "-f", "-"}, kStaleTable);
  ASSERT_FALSE(loopback_open());
  auto lock = must(create_pod_lock(pod_.fd(), LockBackend::automatic, {}));
  EXPECT_EQ(lock->backend(), "nftables");
  EXPECT_TRUE(loopback_open());
  EXPECT_EQ(ruleset().find("stale"), std::string::npos);
}

TEST_F(NftLockTest, RemoveTakesAwaySomebodyElsesTable) {
  auto lock = must(NftLock::create(pod_.fd(), {}));
  pod_.run({"nft", "-f", "-"}, kStaleTable);
  must(lock->remove());
  EXPECT_EQ(ruleset(), "");
  EXPECT_TRUE(loopback_open());
}

TEST_F(NftLockTest, LeavesOtherTablesAlone) {
  pod_.run({"nft", "-f", "-"}, "table inet other { chain in { type filter hook input priority 0; }\n}\n");
  auto lock = must(create_pod_lock(pod_.fd(), LockBackend::nftables, {}));
  must(lock->arm(seconds(20)));
  must(lock->remove());
  EXPECT_NE(ruleset().find("table inet other"), std::string::npos);
}

TEST_F(NftLockTest, ErrorsAreFoundAndLeaveTheSocketInStep) {
  auto lock = must(create_pod_lock(pod_.fd(), LockBackend::nftables, {}));
  pod_.run({"nft", "delete", "table", "inet", "lockstep"});
  for (int i = 0; i < 3; ++i) {
    auto armed = lock->arm(seconds(20));
    ASSERT_FALSE(armed);
    EXPECT_EQ(armed.error().code, ErrorCode::not_found) << armed.error().message();
    EXPECT_EQ(armed.error().sys_errno, ENOENT);
    must(lock->disarm());
  }
  must(lock->prepare());
  must(lock->arm(seconds(20)));
  EXPECT_FALSE(loopback_open());
  // Only one of the two sets is missing: half of a batch fails, so nothing of it happens.
  must(lock->disarm());
  pod_.run({"nft", "-f", "-"},
           "delete table inet lockstep\n table inet lockstep { set armed { type ether_type; flags timeout; }\n}\n");
  EXPECT_FALSE(lock->arm(seconds(20)) && lock->arm(seconds(20)));
  must(lock->remove());
}

TEST_F(NftLockTest, ManyLocksOfOneProcess) {
  // More than the 1024 ports that libnl would give out by itself.
  std::vector<std::unique_ptr<PodLock>> locks;
  for (int i = 0; i < 1100; ++i) locks.push_back(must(NftLock::create(pod_.fd(), {})));
  must(locks.back()->prepare());
  must(locks.front()->arm(seconds(20)));
  EXPECT_FALSE(loopback_open());
}

TEST_F(NftLockTest, SaysWhatIsMissing) {
  const Fd no_netns(::dup(STDIN_FILENO));
  auto lock = create_pod_lock(no_netns, LockBackend::automatic, {});
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message().find("setns"), std::string::npos) << lock.error().message();
}

}  // namespace
}  // namespace lockstep::testing
