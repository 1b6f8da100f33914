/// agent/pods: what an agent takes away when it lets go of a pod, and what it leaves there.
#include "agent/pods.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/kernel/lock_listing.hpp"
#include "tests/netns/test_netns.hpp"

namespace lockstep::testing {
namespace {

using agent::PodPlace;
using agent::Pods;
using ::testing::IsEmpty;

/// The node's agent knows a pod that then gets an agent of its own: a sidecar, or another node agent's successor.
class PodsTest : public ::testing::TestWithParam<LockBackend> {
 protected:
  void SetUp() override {
    if (auto prepared = node_.prepare(place_); !prepared) GTEST_SKIP() << prepared.error().message();
  }
  void sidecar_arms() {
    must(sidecar_.prepare(place_));
    must(sidecar_.arm(place_.pod, seconds(60), RoundId("r1")));
  }
  bool armed() {
    const auto found = must(find_locks(pod_.fd()));
    return found.size() == 1 && found.at(0).armed && found.at(0).note.owner.agent == "sidecar";
  }

  TestNetns pod_;
  PodPlace place_{PodId{"boot", must(netns_inode(pod_.fd()))}, 0, pod_.path()};
  Pods sidecar_{"boot", GetParam(), {}, this_process("sidecar")};
  Pods node_{"boot", GetParam(), {}, this_process("node")};
};
INSTANTIATE_TEST_SUITE_P(Backends, PodsTest, ::testing::Values(LockBackend::nftables, LockBackend::iptables),
                         [](const auto& backend) {
                           return std::string(backend.param == LockBackend::nftables ? "nftables" : "iptables");
                         });

TEST_P(PodsTest, AnIdlePodLosesOurLock) {
  node_.forget_idle(Clock::now() + seconds(20), seconds(10));
  EXPECT_EQ(node_.size(), 0U);
  EXPECT_THAT(must(find_locks(pod_.fd())), IsEmpty());
}

TEST_P(PodsTest, AnIdlePodKeepsTheLockOfAnotherAgent) {
  sidecar_arms();
  node_.forget_idle(Clock::now() + seconds(20), seconds(10));
  EXPECT_EQ(node_.size(), 0U);
  EXPECT_TRUE(armed());
}

TEST_P(PodsTest, ARenewalFindsARuleSetThatWasFlushed) {
  const bool quickly = GetParam() == LockBackend::nftables;
  EXPECT_EQ(node_.renews_quickly(place_.pod), quickly);
  EXPECT_FALSE(node_.renews_quickly(PodId{"boot", 1}));
  if (!quickly) return;  // iptables' programs make their chains anew
  must(node_.arm(place_.pod, seconds(60), RoundId("r1")));
  must(node_.renew(place_.pod, seconds(60)));
  pod_.run({"nft", "flush", "ruleset"});
  EXPECT_EQ(node_.renew(place_.pod, seconds(60)).error().code, ErrorCode::not_found);
}

TEST_P(PodsTest, AnAgentThatEndsLeavesTheLockOfAnotherOne) {
  {
    Pods ending("boot", GetParam(), {}, this_process("ending"));
    must(ending.prepare(place_));
    sidecar_arms();
  }
  EXPECT_TRUE(armed());
}

}  // namespace
}  // namespace lockstep::testing
