/// What a lock stops and what it lets through, the same for every backend.
#include <poll.h>

#include "tests/netns/pod_fixture.hpp"

namespace lockstep::testing {
namespace {

using LockTest = PodTest;
INSTANTIATE_TEST_SUITE_P(Backends, LockTest, ::testing::ValuesIn(backends()), backend_name);

constexpr milliseconds kLease = seconds(20);

/// Opens a TCP connection between namespaces; both ends.
std::pair<Fd, Fd> open_connection(const TestNetns& from, const TestNetns& to, const std::string& address,
                                  std::uint16_t port) {
  const Address target(address, port);
  const Fd listener = bound_socket(to, target, SOCK_STREAM);
  Fd client = socket_in(from, target.family(), SOCK_STREAM);
  EXPECT_TRUE(connect_within(client, target, kArrives));
  return {std::move(client), accept_within(listener, kArrives)};
}

TEST_P(LockTest, StopsEverythingUntilDisarmed) {
  Traffic before(pod_, peer_);
  expect_open(before);
  must(lock_->arm(kLease));
  expect_closed(before);
  must(lock_->disarm());
  expect_open(before);
}

TEST_P(LockTest, RemoveOpens) {
  Traffic traffic(pod_, peer_);
  must(lock_->arm(kLease));
  expect_closed(traffic);
  must(lock_->remove());
  expect_open(traffic);
}

TEST_P(LockTest, EveryStepMayBeRepeated) {
  Traffic traffic(pod_, peer_);
  must(lock_->prepare());
  must(lock_->arm(kLease));
  must(lock_->arm(kLease));
  must(lock_->renew(kLease));
  expect_closed(traffic);
  must(lock_->disarm());
  must(lock_->disarm());
  must(lock_->remove());
  must(lock_->remove());
  must(lock_->disarm());
  expect_open(traffic);
  must(lock_->prepare());
  must(lock_->arm(kLease));
  expect_closed(traffic);
}

TEST_P(LockTest, RefusesWhatMakesNoSense) {
  EXPECT_EQ(lock_->arm(milliseconds(0)).error().code, ErrorCode::invalid);
  EXPECT_EQ(lock_->arm(milliseconds(-1)).error().code, ErrorCode::invalid);
  EXPECT_EQ(lock_->renew(std::chrono::hours(25)).error().code, ErrorCode::invalid);
  EXPECT_EQ(GetParam().make(pod_.fd(), {make_endpoint("10.0.0.1", 0)}).error().code, ErrorCode::invalid);
  must(lock_->remove());
  EXPECT_EQ(lock_->arm(kLease).error().code, ErrorCode::not_found);
}

TEST_P(LockTest, EstablishedConnectionsGoOn) {
  for (const char* address : {"10.77.0.2", "fd77::2"}) {
    const auto [client, server] = open_connection(pod_, peer_, address, 7100);
    must(lock_->arm(kLease));
    send_text(client, "out");
    send_text(server, "in");
    EXPECT_EQ(receive_text(server, kBlocked), "");
    EXPECT_EQ(receive_text(client, kBlocked), "");
    must(lock_->disarm());
    // The retransmission timers have backed off meanwhile.
    EXPECT_EQ(receive_text(server, seconds(5)), "out");
    EXPECT_EQ(receive_text(client, seconds(5)), "in");
  }
}

TEST_P(LockTest, LetsCriuMarkedPacketsThrough) {
  UdpFlow marked_v4(pod_, peer_, "10.77.0.2", 7200, kCriuMark);
  UdpFlow marked_v6(pod_, peer_, "fd77::2", 7201, kCriuMark);
  UdpFlow marked_loopback(pod_, pod_, "127.0.0.1", 7202, kCriuMark);
  UdpFlow other_mark(pod_, peer_, "10.77.0.2", 7203, kCriuMark + 1);
  must(lock_->arm(kLease));
  EXPECT_TRUE(marked_v4.passes(kArrives));
  EXPECT_TRUE(marked_v6.passes(kArrives));
  EXPECT_TRUE(marked_loopback.passes(kArrives));
  EXPECT_FALSE(other_mark.passes(kBlocked));
}

TEST_P(LockTest, LetsExemptConnectionsThrough) {
  make_lock({make_endpoint("10.77.0.2", 7070), make_endpoint("fd77::2", 7070)});
  Traffic traffic(pod_, peer_);
  for (const char* address : {"10.77.0.2", "fd77::2"}) {
    const Address broker(address, 7070);
    const Fd listener = bound_socket(peer_, broker, SOCK_STREAM);
    const Fd before = socket_in(pod_, broker.family(), SOCK_STREAM);
    ASSERT_TRUE(connect_within(before, broker, kArrives));
    const Fd before_peer = accept_within(listener, kArrives);
    must(lock_->arm(kLease));

    send_text(before, "up");
    EXPECT_EQ(receive_text(before_peer, kArrives), "up");
    send_text(before_peer, "down");
    EXPECT_EQ(receive_text(before, kArrives), "down");
    const Fd during = socket_in(pod_, broker.family(), SOCK_STREAM);
    EXPECT_TRUE(connect_within(during, broker, kArrives));
    UdpFlow same_port_udp(pod_, peer_, address, 7070);
    EXPECT_FALSE(same_port_udp.passes(kBlocked));
    expect_closed(traffic);
    must(lock_->disarm());
  }
  expect_open(traffic);
}

TEST_P(LockTest, ExemptsOnlyThatDirection) {
  // The exempt end point is the far end: a service of the pod's own on the same port stays closed.
  make_lock({make_endpoint("10.77.0.2", 7070)});
  const Address in_pod("10.77.0.1", 7070);
  const Fd listener = bound_socket(pod_, in_pod, SOCK_STREAM);
  must(lock_->arm(kLease));
  const Fd client = socket_in(peer_, AF_INET, SOCK_STREAM);
  EXPECT_FALSE(connect_within(client, in_pod, kBlocked));
}

TEST_P(LockTest, LetsNeighbourDiscoveryThrough) {
  make_lock({make_endpoint("fd77::2", 7070)});
  const Address broker("fd77::2", 7070);
  const Fd listener = bound_socket(peer_, broker, SOCK_STREAM);
  must(lock_->arm(kLease));
  for (const TestNetns* netns : {&pod_, &peer_}) netns->run({"ip", "-6", "neigh", "flush", "dev", "veth0"});
  EXPECT_EQ(pod_.run({"ip", "-6", "neigh", "show", "to", "fd77::2"}), "");
  const Fd client = socket_in(pod_, AF_INET6, SOCK_STREAM);
  EXPECT_TRUE(connect_within(client, broker, kArrives));
}

TEST_P(LockTest, LocksOnlyItsOwnNamespace) {
  // The lock was made, and is used, from a thread in another namespace than the one locked.
  TestNetns bystander;
  UdpFlow other(bystander, bystander, "127.0.0.1", 7300);
  UdpFlow peer_loopback(peer_, peer_, "127.0.0.1", 7300);
  UdpFlow pod_loopback(pod_, pod_, "127.0.0.1", 7300);
  const auto scope = must(NetnsScope::enter(bystander.fd()));
  must(lock_->arm(kLease));
  EXPECT_TRUE(other.passes(kArrives));
  EXPECT_TRUE(peer_loopback.passes(kArrives));
  EXPECT_FALSE(pod_loopback.passes(kBlocked));
}

}  // namespace
}  // namespace lockstep::testing
