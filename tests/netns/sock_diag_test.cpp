/// agent/kernel/sock_diag against the kernel's real tables.
#include "agent/kernel/sock_diag.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

constexpr milliseconds kSoon = seconds(1);

std::uint64_t inode_of(const Fd& socket) {
  struct stat status {};
  EXPECT_EQ(::fstat(socket.get(), &status), 0);
  return status.st_ino;
}

class SockDiagTest : public ::testing::Test {
 protected:
  /// A connection inside the namespace; `from` may be a mapped address.
  void open_connection(const std::string& listen_on, const std::string& from) {
    listener_ = bound_socket(pod_, Address(listen_on, 0), SOCK_STREAM);
    port_ = local_port(listener_);
    client_ = socket_in(pod_, from.find(':') == std::string::npos ? AF_INET : AF_INET6, SOCK_STREAM);
    ASSERT_TRUE(connect_within(client_, Address(from, port_), kSoon));
    ASSERT_TRUE(wait_for(listener_, POLLIN, kSoon));
  }
  void accept() { server_ = accept_within(listener_, kSoon); }

  /// The one entry with these ports; a default one, and a failed test, when there is not exactly one.
  Socket find(std::uint16_t local, std::uint16_t remote) {
    Socket found;
    int count = 0;
    for (const Socket& socket : must(diag_.tcp_sockets())) {
      if (socket.local.port != local || socket.remote.port != remote) continue;
      found = socket;
      ++count;
    }
    EXPECT_EQ(count, 1) << local << " " << remote;
    return found;
  }
  bool becomes(TcpState state, std::uint16_t local, std::uint16_t remote) {
    const TimePoint deadline = Clock::now() + kSoon;
    while (Clock::now() < deadline)
      if (find(local, remote).state == state) return true;
    return false;
  }
  Socket find_client() { return find(local_port(client_), port_); }
  Socket find_server() { return find(port_, local_port(client_)); }

  TestNetns pod_;
  SockDiag diag_ = must(SockDiag::create(pod_.fd()));
  Fd listener_;
  Fd client_;
  Fd server_;
  std::uint16_t port_ = 0;
};

TEST_F(SockDiagTest, AnEmptyNamespaceHasNone) { EXPECT_TRUE(must(diag_.tcp_sockets()).empty()); }

TEST_F(SockDiagTest, BothEndsOfAConnection) {
  for (const std::string address : {"127.0.0.1", "::1"}) {
    open_connection(address, address);
    accept();
    const Socket client = find_client();
    const Socket server = find_server();
    EXPECT_EQ(client.local, make_endpoint(address, local_port(client_)));
    EXPECT_EQ(client.remote, make_endpoint(address, port_));
    EXPECT_EQ(client.local, server.remote);
    EXPECT_EQ(client.remote, server.local);
    EXPECT_EQ(client.state, TcpState::established);
    EXPECT_EQ(server.state, TcpState::established);
    EXPECT_EQ(client.inode, inode_of(client_));
    EXPECT_EQ(server.inode, inode_of(server_));
    EXPECT_NE(client.cookie, server.cookie);
    EXPECT_EQ(client.v6_socket, address == "::1");
    EXPECT_EQ(client.uid, 0U);
    const Socket listener = find(port_, 0);
    EXPECT_EQ(listener.state, TcpState::listen);
    EXPECT_EQ(listener.local, make_endpoint(address, port_));
    EXPECT_EQ(listener.send_queue, 8U);
  }
}

TEST_F(SockDiagTest, MappedAddressesAreIpv4) {
  open_connection("::", "127.0.0.1");
  accept();
  const Socket client = find_client();
  const Socket server = find_server();
  EXPECT_EQ(server.local, client.remote);
  EXPECT_EQ(server.remote, client.local);
  EXPECT_EQ(server.local.family, IpFamily::v4);
  EXPECT_TRUE(server.v6_socket);
  EXPECT_FALSE(client.v6_socket);
  EXPECT_EQ(find(port_, 0).local.family, IpFamily::v6);
}

TEST_F(SockDiagTest, QueuesAndByteCounts) {
  open_connection("127.0.0.1", "127.0.0.1");
  accept();
  send_text(client_, std::string(100, 'a'));
  send_text(server_, std::string(30, 'b'));
  ASSERT_EQ(receive_text(client_, kSoon).size(), 30U);
  ASSERT_TRUE(wait_for(server_, POLLIN, kSoon));
  std::string half(40, '\0');
  ASSERT_EQ(::recv(server_.get(), half.data(), half.size(), 0), 40);
  const Socket client = find_client();
  const Socket server = find_server();
  EXPECT_EQ(server.receive_queue, 60U);
  EXPECT_EQ(client.receive_queue, 0U);
  EXPECT_EQ(client.send_queue, 0U);
  EXPECT_EQ(server.bytes_received, 100U);
  // The handshake's SYN counts as one of the client's bytes acknowledged.
  EXPECT_EQ(client.bytes_acked, 101U);
  EXPECT_EQ(client.bytes_received, 30U);
  EXPECT_EQ(server.bytes_acked, 30U);
}

TEST_F(SockDiagTest, ConnectionsNobodyHasAcceptedHaveInodeZero) {
  open_connection("127.0.0.1", "127.0.0.1");
  EXPECT_EQ(find_server().inode, 0U);
  EXPECT_EQ(find(port_, 0).receive_queue, 1U);
  accept();
  EXPECT_EQ(find_server().inode, inode_of(server_));
}

TEST_F(SockDiagTest, States) {
  open_connection("127.0.0.1", "127.0.0.1");
  accept();
  const std::uint16_t port = local_port(client_);
  ::shutdown(client_.get(), SHUT_WR);
  ASSERT_TRUE(wait_for(server_, POLLIN, kSoon));
  EXPECT_TRUE(becomes(TcpState::fin_wait2, port, port_));  // after a delayed acknowledgement
  EXPECT_EQ(find(port_, port).state, TcpState::close_wait);
  server_.reset();
  ASSERT_TRUE(wait_for(client_, POLLHUP, kSoon));
  client_.reset();
  const Socket rest = find(port, port_);
  EXPECT_EQ(rest.state, TcpState::time_wait);
  EXPECT_EQ(rest.inode, 0U);
}

TEST_F(SockDiagTest, AHalfOpenConnectionIsSynSent) {
  pod_.run({"ip", "link", "add", "veth1", "type", "veth", "peer", "name", "veth2"});
  pod_.run({"ip", "addr", "add", "10.79.0.1/24", "dev", "veth1"});
  for (const char* end : {"veth1", "veth2"}) pod_.run({"ip", "link", "set", end, "up"});
  client_ = socket_in(pod_, AF_INET, SOCK_STREAM);
  EXPECT_FALSE(connect_within(client_, Address("10.79.0.2", 9), milliseconds(50)));
  EXPECT_EQ(find(local_port(client_), 9).state, TcpState::syn_sent);
}

TEST_F(SockDiagTest, ABoundSocketThatDoesNothingIsNotListed) {
  const Fd bound = socket_in(pod_, AF_INET, SOCK_STREAM);
  const Address any("127.0.0.1", 7400);
  ASSERT_EQ(::bind(bound.get(), any.get(), any.length), 0);
  EXPECT_TRUE(must(diag_.tcp_sockets()).empty());
}

TEST_F(SockDiagTest, OnlyTheInodesAskedFor) {
  open_connection("::1", "::1");
  const SocketTable table = must(diag_.tcp_sockets_of({inode_of(client_), 0}));
  ASSERT_EQ(table.size(), 1U);  // the un-accepted one has inode 0 and stays out
  EXPECT_EQ(table[0].inode, inode_of(client_));
  EXPECT_TRUE(must(diag_.tcp_sockets_of({})).empty());
}

TEST_F(SockDiagTest, DestroyAbortsThatConnectionAlone) {
  for (const auto& [listen_on, from] : {std::pair{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"::", "127.0.0.1"}}) {
    open_connection(listen_on, from);
    accept();
    const Fd bystander = socket_in(pod_, Address(from, 0).family(), SOCK_STREAM);
    ASSERT_TRUE(connect_within(bystander, Address(from, port_), kSoon));
    const Socket server = find_server();  // with "::" a mapped one
    must(diag_.destroy(server));
    char byte = 0;
    EXPECT_EQ(::recv(server_.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNABORTED);
    EXPECT_EQ(diag_.destroy(server).error().code, ErrorCode::not_found);
    EXPECT_EQ(find(local_port(bystander), port_).state, TcpState::established);
  }
}

TEST_F(SockDiagTest, DestroyKnowsASocketByItsCookie) {
  open_connection("127.0.0.1", "127.0.0.1");
  accept();
  Socket wrong = find_client();
  ++wrong.cookie;
  EXPECT_EQ(diag_.destroy(wrong).error().code, ErrorCode::not_found);
  EXPECT_EQ(find_client().state, TcpState::established);
}

}  // namespace
}  // namespace lockstep::testing
