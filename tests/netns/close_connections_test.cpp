/// agent/kernel/close_connections: single connections of a locked pod closed, their peers told through the lock.
#include "agent/kernel/close_connections.hpp"

#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cstring>
#include <thread>

#include "tests/netns/pod_fixture.hpp"

namespace lockstep::testing {
namespace {

constexpr milliseconds kLease = seconds(20);
constexpr int kRepairOffWithoutProbe = -1;  ///< TCP_REPAIR_OFF_NO_WP

/// One connection between the pod and its peer; `inner` is the pod's end.
struct Connection {
  Fd inner;
  Fd outer;
  Socket wanted;  ///< the inner end as a record of an earlier life would tell it

  [[nodiscard]] std::uint16_t port() const { return local_port(inner); }
};

int socket_error(const Fd& socket) {
  int error = 0;
  socklen_t length = sizeof error;
  (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

/// What the socket comes to within `limit`: 0 as long as it is fine.
int error_within(const Fd& socket, milliseconds limit) {
  (void)wait_for(socket, POLLHUP, limit);
  return socket_error(socket);
}

void set_repair(const Fd& socket, int value) {
  ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &value, sizeof value), 0) << std::strerror(errno);
}

class CloseConnectionsTest : public PodTest {
 protected:
  Connection open(const std::string& outer_address) {
    const Address target(outer_address, next_port_++);
    const Fd listener = bound_socket(peer_, target, SOCK_STREAM);
    Connection made;
    made.inner = socket_in(pod_, target.family(), SOCK_STREAM);
    EXPECT_TRUE(connect_within(made.inner, target, kArrives));
    made.outer = accept_within(listener, kArrives);
    made.wanted = find(made.port());
    made.wanted.cookie = 12345;  // as it was before the restore
    made.wanted.inode = 67890;
    return made;
  }
  Socket find(std::uint16_t port) {
    for (const Socket& socket : must(diag_.tcp_sockets()))
      if (socket.local.port == port) return socket;
    ADD_FAILURE() << "no socket with port " << port;
    return {};
  }
  ClosedConnections close(const SocketTable& wanted) { return must(agent::close_connections(*lock_, diag_, wanted)); }

  SockDiag diag_ = must(SockDiag::create(pod_.fd()));
  std::uint16_t next_port_ = 7500;
};
INSTANTIATE_TEST_SUITE_P(Backends, CloseConnectionsTest, ::testing::ValuesIn(backends()), backend_name);

TEST_P(CloseConnectionsTest, BothEndsAreToldAndNobodyElse) {
  for (const char* address : {"10.77.0.2", "fd77::2"}) {
    const Connection doomed = open(address);
    const Connection bystander = open(address);
    must(lock_->arm(kLease));
    EXPECT_EQ(close({doomed.wanted}), (ClosedConnections{1, 0, 0, 0}));
    EXPECT_EQ(error_within(doomed.inner, kArrives), ECONNABORTED);
    EXPECT_EQ(error_within(doomed.outer, kArrives), ECONNRESET);

    send_text(bystander.inner, "out");
    send_text(bystander.outer, "in");
    EXPECT_EQ(receive_text(bystander.outer, kBlocked), "");
    EXPECT_EQ(receive_text(bystander.inner, kBlocked), "");
    must(lock_->disarm());
    EXPECT_EQ(receive_text(bystander.outer, seconds(5)), "out");
    EXPECT_EQ(receive_text(bystander.inner, seconds(5)), "in");
  }
}

TEST_P(CloseConnectionsTest, SocketsInRepairModeSendTheirResetToo) {
  const Connection doomed = open("10.77.0.2");
  must(lock_->arm(kLease));
  set_repair(doomed.inner, 1);
  EXPECT_EQ(close({doomed.wanted}).closed, 1U);
  EXPECT_EQ(error_within(doomed.outer, kArrives), ECONNRESET);
  set_repair(doomed.inner, kRepairOffWithoutProbe);  // CRIU goes on to do so, and must not fail
  EXPECT_EQ(error_within(doomed.inner, kArrives), ECONNABORTED);
}

TEST_P(CloseConnectionsTest, APeerThatHasMissedDataIsToldWhenItAsksBack) {
  for (const char* address : {"10.77.0.2", "fd77::2"}) {
    const Connection doomed = open(address);
    const Connection bystander = open(address);
    must(lock_->arm(kLease));
    send_text(doomed.inner, std::string(1000, 'x'));  // dropped by the lock, and part of the reset's sequence number
    const ClosedConnections counts = close({doomed.wanted});
    EXPECT_EQ(counts.closed, 1U);
    EXPECT_EQ(counts.unsent_bytes, 1000U);
    EXPECT_EQ(error_within(doomed.outer, kArrives), ECONNRESET);
    send_text(bystander.outer, "in");
    EXPECT_EQ(receive_text(bystander.inner, kBlocked), "");
    must(lock_->disarm());
    EXPECT_EQ(receive_text(bystander.inner, seconds(5)), "in");
  }
}

TEST_P(CloseConnectionsTest, UnreadBytesAreCounted) {
  const Connection doomed = open("10.77.0.2");
  send_text(doomed.outer, std::string(50, 'a'));
  ASSERT_TRUE(wait_for(doomed.inner, POLLIN, kArrives));
  must(lock_->arm(kLease));
  EXPECT_EQ(close({doomed.wanted}), (ClosedConnections{1, 0, 50, 0}));
  // The kernel keeps them for whoever reads before looking at the error.
  EXPECT_EQ(receive_text(doomed.inner, kArrives), std::string(50, 'a'));
  EXPECT_EQ(socket_error(doomed.inner), ECONNABORTED);
}

TEST_P(CloseConnectionsTest, WhatIsGoneIsCountedAsGone) {
  Connection doomed = open("10.77.0.2");
  EXPECT_EQ(close({doomed.wanted}).closed, 1U);  // the pod is open
  must(lock_->arm(kLease));
  EXPECT_EQ(close({doomed.wanted}), (ClosedConnections{0, 1, 0, 0}));
  EXPECT_EQ(close({}), ClosedConnections{});
}

TEST_P(CloseConnectionsTest, AMappedSocketIsFound) {
  const Fd listener = bound_socket(pod_, Address("::", 7600), SOCK_STREAM);
  const Fd outer = socket_in(peer_, AF_INET, SOCK_STREAM);
  ASSERT_TRUE(connect_within(outer, Address("10.77.0.1", 7600), kArrives));
  const Fd inner = accept_within(listener, kArrives);
  SocketTable wanted;
  for (const Socket& socket : must(diag_.tcp_sockets()))
    if (socket.state == TcpState::established) wanted.push_back(socket);
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_TRUE(wanted[0].v6_socket);
  must(lock_->arm(kLease));
  EXPECT_EQ(close(wanted).closed, 1U);
  EXPECT_EQ(error_within(outer, kArrives), ECONNRESET);
  EXPECT_EQ(find(7600).state, TcpState::listen);
}

TEST_P(CloseConnectionsTest, LinkLocalAddressesAreFoundByTheirInterface) {
  const std::string shown = peer_.run({"sh", "-c", "ip -6 -o addr show dev veth0 scope link | awk '{print $4}'"});
  Address target(shown.substr(0, shown.find('/')), 7700);
  auto* address = reinterpret_cast<sockaddr_in6*>(&target.storage);
  {
    const auto scope = must(NetnsScope::enter(peer_.fd()));
    address->sin6_scope_id = ::if_nametoindex("veth0");
  }
  const Fd listener = bound_socket(peer_, target, SOCK_STREAM);
  {
    const auto scope = must(NetnsScope::enter(pod_.fd()));
    address->sin6_scope_id = ::if_nametoindex("veth0");
  }
  const Fd inner = socket_in(pod_, AF_INET6, SOCK_STREAM);
  ASSERT_TRUE(connect_within(inner, target, kArrives));
  const Fd outer = accept_within(listener, kArrives);
  const Socket wanted = find(local_port(inner));
  EXPECT_EQ(wanted.interface_index, address->sin6_scope_id);
  must(lock_->arm(kLease));
  EXPECT_EQ(close({wanted}).closed, 1U);
  EXPECT_EQ(error_within(outer, kArrives), ECONNRESET);
}

TEST_P(CloseConnectionsTest, ResetsPassForALimitedTimeOnly) {
  const Connection doomed = open("10.77.0.2");
  must(lock_->arm(kLease));
  must(lock_->pass_resets(GetParam().short_lease, {}));
  std::this_thread::sleep_for(GetParam().opens_after);
  const linger reset{1, 0};
  ::setsockopt(doomed.inner.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const_cast<Fd&>(doomed.inner).reset();
  EXPECT_EQ(error_within(doomed.outer, kBlocked), 0);
}

TEST_P(CloseConnectionsTest, StoppingKeepsResetsIn) {
  Connection doomed = open("10.77.0.2");
  must(lock_->arm(kLease));
  must(lock_->pass_resets(kLease, {}));
  must(lock_->stop_resets());
  const linger reset{1, 0};
  ::setsockopt(doomed.inner.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  doomed.inner.reset();
  EXPECT_EQ(error_within(doomed.outer, kBlocked), 0);
  UdpFlow flow(pod_, peer_, "10.77.0.2", 7001);
  EXPECT_FALSE(flow.passes(kBlocked));
}

TEST(FindConnections, ChoosesByInterfaceOnlyWhereItHasTo) {
  Socket first{.local = make_endpoint("fe80::1", 1000), .remote = make_endpoint("fe80::2", 2000),
               .state = TcpState::established, .cookie = 1, .v6_socket = true, .interface_index = 4};
  Socket second = first;
  second.cookie = 2;
  second.interface_index = 5;
  Socket wanted = first;
  wanted.interface_index = 9;
  EXPECT_EQ(agent::find_connections({first}, {wanted}), SocketTable{first});
  EXPECT_EQ(agent::find_connections({first, second}, {wanted}), SocketTable{});
  EXPECT_EQ(agent::find_connections({first, second}, {second}), SocketTable{second});
  Socket listener = first;
  listener.state = TcpState::listen;
  EXPECT_EQ(agent::find_connections({listener}, {first}), SocketTable{});
  Socket four = first;
  four.v6_socket = false;
  EXPECT_EQ(agent::find_connections({four}, {first}), SocketTable{});
}

}  // namespace
}  // namespace lockstep::testing
