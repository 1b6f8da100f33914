/// The lease: a lock that opens by itself, and does not while it is renewed.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/netns/pod_fixture.hpp"

namespace lockstep::testing {
namespace {

using LeaseTest = PodTest;
INSTANTIATE_TEST_SUITE_P(Backends, LeaseTest, ::testing::ValuesIn(backends()), backend_name);

/// True when the flow passes at some time within `limit`.
bool opens_within(UdpFlow& flow, milliseconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  while (Clock::now() < deadline)
    if (flow.passes(milliseconds(20))) return true;
  return false;
}

TEST_P(LeaseTest, OpensByItself) {
  UdpFlow flow(pod_, peer_, "10.77.0.2", 7001);
  UdpFlow flow_v6(pod_, peer_, "fd77::2", 7001);
  const TimePoint start = Clock::now();
  must(lock_->arm(GetParam().short_lease));
  EXPECT_FALSE(flow.passes(milliseconds(50)));
  EXPECT_TRUE(opens_within(flow, GetParam().opens_after));
  EXPECT_GE(Clock::now() - start, GetParam().short_lease);
  EXPECT_TRUE(opens_within(flow_v6, GetParam().opens_after));
}

TEST_P(LeaseTest, ArmsAgainAfterItHasOpenedByItself) {
  UdpFlow flow(pod_, peer_, "10.77.0.2", 7001);
  for (int i = 0; i < 2; ++i) {
    must(lock_->arm(GetParam().short_lease));
    EXPECT_FALSE(flow.passes(milliseconds(50)));
    EXPECT_TRUE(opens_within(flow, GetParam().opens_after));
  }
  must(lock_->renew(seconds(20)));
  EXPECT_FALSE(flow.passes(kBlocked));
}

TEST_P(LeaseTest, ARenewalCountsFromNowAlsoWhenItIsShorter) {
  UdpFlow flow(pod_, peer_, "10.77.0.2", 7001);
  must(lock_->arm(seconds(30)));
  must(lock_->renew(GetParam().short_lease));
  EXPECT_FALSE(flow.passes(milliseconds(50)));
  EXPECT_TRUE(opens_within(flow, GetParam().opens_after));
}

TEST_P(LeaseTest, RenewalsLeaveNoGap) {
  UdpFlow out(pod_, peer_, "10.77.0.2", 7001);
  UdpFlow in(peer_, pod_, "fd77::1", 7001);
  UdpFlow loopback(pod_, pod_, "127.0.0.1", 7001);
  must(lock_->arm(GetParam().short_lease));
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    while (!stop)
      for (UdpFlow* flow : {&out, &in, &loopback}) flow->send();
  });
  const TimePoint end = Clock::now() + GetParam().opens_after * 3 / 2;
  while (Clock::now() < end) {
    must(lock_->renew(GetParam().short_lease));
    std::this_thread::sleep_for(GetParam().short_lease / 300);
  }
  stop = true;
  flood.join();
  EXPECT_FALSE(out.arrived(milliseconds(0)));
  EXPECT_FALSE(in.arrived(milliseconds(0)));
  EXPECT_FALSE(loopback.arrived(milliseconds(0)));
}

TEST_P(LeaseTest, ASuccessorTakesOverWithoutAGap) {
  UdpFlow out(pod_, peer_, "10.77.0.2", 7001);
  UdpFlow in(peer_, pod_, "fd77::1", 7001);
  UdpFlow loopback(pod_, pod_, "127.0.0.1", 7001);
  must(lock_->arm(seconds(20)));
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    while (!stop)
      for (UdpFlow* flow : {&out, &in, &loopback}) flow->send();
  });
  // Each life replaces what the one before has left.
  for (int life = 0; life < 20; ++life) must(lock_->take_over(seconds(20), "r-1"));
  stop = true;
  flood.join();
  EXPECT_FALSE(out.arrived(milliseconds(0)));
  EXPECT_FALSE(in.arrived(milliseconds(0)));
  EXPECT_FALSE(loopback.arrived(milliseconds(0)));
  must(lock_->renew(seconds(20)));
  EXPECT_FALSE(out.passes(milliseconds(50)));
  must(lock_->disarm());
  EXPECT_TRUE(out.passes(milliseconds(500)));
}

TEST_P(LeaseTest, OpensByItselfWhenTheOwnerIsKilled) {
  UdpFlow flow(pod_, peer_, "10.77.0.2", 7001);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const Fd read_end(ready[0]);
  Fd write_end(ready[1]);
  const pid_t owner = ::fork();
  ASSERT_GE(owner, 0);
  if (owner == 0) {
    auto own = GetParam().make(pod_.fd(), {});
    const bool armed = own && (*own)->arm(GetParam().short_lease);
    (void)!::write(ready[1], armed ? "1" : "0", 1);
    while (true) ::pause();
  }
  write_end.reset();
  char armed = '0';
  ASSERT_EQ(::read(read_end.get(), &armed, 1), 1);
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  ASSERT_EQ(armed, '1');
  EXPECT_FALSE(flow.passes(milliseconds(50)));
  EXPECT_TRUE(opens_within(flow, GetParam().opens_after));
}

}  // namespace
}  // namespace lockstep::testing
