/// agent/kernel/restore_conflicts: a table of wanted and present sockets.
#include "agent/kernel/restore_conflicts.hpp"

#include <gtest/gtest.h>

#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

Socket listener(const std::string& address, std::uint16_t port, std::uint64_t inode = 1) {
  const Endpoint local = make_endpoint(address, port);
  return {.local = local, .remote = {local.family, {}, 0}, .state = TcpState::listen, .inode = inode,
          .v6_socket = local.family == IpFamily::v6};
}

Socket connection(const std::string& local, std::uint16_t port, const std::string& remote, std::uint16_t remote_port,
                  TcpState state = TcpState::established, std::uint64_t inode = 2) {
  return {.local = make_endpoint(local, port), .remote = make_endpoint(remote, remote_port), .state = state,
          .inode = inode, .v6_socket = local.find(':') != std::string::npos};
}

const std::vector<InterfaceAddress> kAddresses{
    {"eth0", IpFamily::v4, make_endpoint("10.0.0.1", 0).address, 24},
    {"eth0", IpFamily::v6, make_endpoint("fd00::1", 0).address, 64},
    {"lo", IpFamily::v4, make_endpoint("127.0.0.1", 0).address, 8},
    {"lo", IpFamily::v6, make_endpoint("::1", 0).address, 128},
};

enum class Verdict { none, leftover, taken };

struct Row {
  const char* what;
  Socket wanted;
  Socket present;
  Verdict verdict;
};

class ConflictTest : public ::testing::TestWithParam<Row> {};

TEST_P(ConflictTest, Row) {
  const Row& row = GetParam();
  const RestoreConflicts found = restore_conflicts({row.wanted}, {row.present}, kAddresses);
  EXPECT_EQ(found.leftovers, row.verdict == Verdict::leftover ? SocketTable{row.present} : SocketTable{}) << row.what;
  const std::vector<SocketConflict> taken{{row.wanted, row.present}};
  EXPECT_EQ(found.taken, row.verdict == Verdict::taken ? taken : std::vector<SocketConflict>{}) << row.what;
}

Socket web() { return listener("10.0.0.1", 80); }
Socket any4() { return listener("0.0.0.0", 80); }
Socket any6() { return listener("::", 80); }
Socket live(TcpState state = TcpState::established, std::uint64_t inode = 2) {
  return connection("10.0.0.1", 80, "10.0.0.9", 4000, state, inode);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConflictTest,
    ::testing::Values(
        Row{"same listener", web(), web(), Verdict::taken},
        Row{"another port", web(), listener("10.0.0.1", 81), Verdict::none},
        Row{"another address", web(), listener("127.0.0.1", 80), Verdict::none},
        Row{"a wildcard holds it", web(), any4(), Verdict::taken},
        Row{"a wildcard is wanted", any4(), web(), Verdict::taken},
        Row{"IPv6's wildcard holds IPv4's ports", web(), any6(), Verdict::taken},
        Row{"IPv6's wildcard is wanted", any6(), web(), Verdict::taken},
        Row{"IPv4's wildcard holds no IPv6 port", listener("fd00::1", 80), any4(), Verdict::none},
        Row{"an outgoing connection holds the port", web(), live(), Verdict::taken},
        Row{"TIME_WAIT holds the port", web(), live(TcpState::time_wait, 0), Verdict::leftover},
        Row{"TIME_WAIT under a wildcard", any6(), live(TcpState::time_wait, 0), Verdict::leftover},
        Row{"an orphan that waits", web(), live(TcpState::fin_wait2, 0), Verdict::leftover},
        Row{"an orphan that still delivers", web(), live(TcpState::fin_wait1, 0), Verdict::taken},
        Row{"the same connection", live(), live(), Verdict::taken},
        Row{"the same, not accepted yet", live(), live(TcpState::established, 0), Verdict::taken},
        Row{"the same in TIME_WAIT", live(), live(TcpState::time_wait, 0), Verdict::leftover},
        Row{"the same, orphan", live(), live(TcpState::last_ack, 0), Verdict::leftover},
        Row{"the same, half closed by its process", live(), live(TcpState::fin_wait2, 5), Verdict::taken},
        Row{"a foreign listener on a connection's port", live(), any4(), Verdict::none},
        Row{"the other direction", live(), connection("10.0.0.9", 4000, "10.0.0.1", 80), Verdict::none},
        Row{"another remote port", live(), connection("10.0.0.1", 80, "10.0.0.9", 4001), Verdict::none},
        Row{"a finished one comes back as nothing", live(TcpState::time_wait, 0), live(), Verdict::none}));

TEST(RestoreConflicts, TheSameEndPointsOnAnotherInterfaceAreAnotherConnection) {
  Socket wanted = connection("fe80::1", 80, "fe80::2", 4000);
  Socket other = wanted;
  wanted.interface_index = 2;
  other.interface_index = 3;
  EXPECT_TRUE(restore_conflicts({wanted}, {other}, kAddresses).taken.empty());
  other.interface_index = 2;
  EXPECT_EQ(restore_conflicts({wanted}, {other}, kAddresses).taken.size(), 1U);
}

TEST(RestoreConflicts, MissingAddressesAreNamedOnce) {
  const SocketTable wanted{web(),
                           any6(),
                           listener("127.5.5.5", 90),   // all of 127/8 is at home on lo
                           listener("::1", 90),
                           listener("10.0.0.2", 80),    // eth0's network, not its address
                           connection("10.0.0.2", 80, "10.0.0.9", 4000),
                           connection("fd00::2", 80, "fd00::9", 4000)};
  const std::vector<Endpoint> expected{make_endpoint("10.0.0.2", 0), make_endpoint("fd00::2", 0)};
  EXPECT_EQ(restore_conflicts(wanted, {}, kAddresses).missing, expected);
  EXPECT_EQ(restore_conflicts({listener("127.0.0.1", 80)}, {}, {}).missing.size(), 1U);  // lo is down
}

TEST(RestoreConflicts, AnEndPointIsReportedOnceAndALeftoverToo) {
  const SocketTable present{any4(), live(), live(TcpState::time_wait, 0)};
  const RestoreConflicts found = restore_conflicts({web(), any4()}, present, kAddresses);
  EXPECT_EQ(found.taken.size(), 2U);
  EXPECT_EQ(found.leftovers.size(), 1U);
}

TEST(RestoreConflicts, GrowLinearly) {
  SocketTable wanted;
  SocketTable present;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    Socket socket = live();
    socket.remote.address[2] = static_cast<std::uint8_t>(i >> 16);
    socket.remote.port = static_cast<std::uint16_t>(i);
    wanted.push_back(socket);
    socket.state = TcpState::time_wait;
    socket.inode = 0;
    present.push_back(socket);
  }
  wanted.push_back(web());
  const TimePoint start = Clock::now();
  EXPECT_EQ(restore_conflicts(wanted, present, kAddresses).leftovers.size(), present.size());
  EXPECT_LT(Clock::now() - start, seconds(5));  // quadratic would be minutes
}

}  // namespace
}  // namespace lockstep::testing
