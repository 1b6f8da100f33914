/// agent/kernel/restore_check: pods with things in the way, and what is left of them afterwards.
#include "agent/kernel/restore_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "agent/kernel/lock_listing.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "schemas/endpoint_text.hpp"
#include "tests/netns/sockets.hpp"

namespace lockstep::testing {
namespace {

using agent::RestoreCheck;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr milliseconds kSoon = seconds(1);

class RestoreCheckTest : public ::testing::Test {
 protected:
  RestoreCheckTest() { connect(pod_, peer_); }
  RestoreCheck check(const SocketTable& wanted, const std::vector<InterfaceAddress>& addresses = {}) {
    return must(agent::check_for_restore(pod_.fd(), diag_, reader_, "nftables", wanted, addresses));
  }
  SocketTable present() { return must(diag_.tcp_sockets()); }
  /// A connection out of the pod; its end there, as the table shows it.
  Socket open() {
    const Address target("10.77.0.2", next_port_++);
    const Fd listener = bound_socket(peer_, target, SOCK_STREAM);
    inner_ = socket_in(pod_, AF_INET, SOCK_STREAM);
    EXPECT_TRUE(connect_within(inner_, target, kSoon));
    outer_ = accept_within(listener, kSoon);
    return present().at(0);
  }
  /// Both ends closed, the pod's first, so that it is the one that waits.
  void close_both() {
    inner_.reset();
    ASSERT_TRUE(wait_for(outer_, POLLIN, kSoon));
    outer_.reset();
    const TimePoint deadline = Clock::now() + kSoon;
    while (Clock::now() < deadline && present().at(0).state != TcpState::time_wait) continue;
    ASSERT_EQ(present().at(0).state, TcpState::time_wait);
  }
  std::string ruleset() const { return pod_.run({"nft", "list", "ruleset"}); }

  TestNetns pod_;
  TestNetns peer_;
  SockDiag diag_ = must(SockDiag::create(pod_.fd()));
  AddressReader reader_ = must(AddressReader::create(pod_.fd()));
  Fd inner_;
  Fd outer_;
  std::uint16_t next_port_ = 7800;
};

Socket listener(const std::string& address, std::uint16_t port) {
  const Endpoint local = make_endpoint(address, port);
  return {.local = local, .remote = {local.family, {}, 0}, .state = TcpState::listen, .inode = 1};
}

TEST_F(RestoreCheckTest, AnEmptyPodIsFine) {
  const RestoreCheck found = check({listener("10.77.0.1", 80), listener("0.0.0.0", 81), listener("127.0.0.2", 82)});
  EXPECT_EQ(found, RestoreCheck{});
}

TEST_F(RestoreCheckTest, ATakenPortNamesItsHolder) {
  const Fd holder = bound_socket(pod_, Address("0.0.0.0", 7900), SOCK_STREAM);
  const RestoreCheck found = check({listener("10.77.0.1", 7900)});
  const std::string pid = "(pid " + std::to_string(::getpid()) + ")";
  EXPECT_THAT(found.conflicts, ElementsAre(AllOf(HasSubstr("listener 10.77.0.1:7900"), HasSubstr("0.0.0.0:7900"),
                                                 HasSubstr(pid), HasSubstr("restore into another pod"))));
  EXPECT_THAT(found.cleared, IsEmpty());
  EXPECT_EQ(present().size(), 1U);
}

TEST_F(RestoreCheckTest, ListenersOfBothFamiliesOnOnePortAreToldApart) {
  const Fd holder = bound_socket(pod_, Address("::", 7900), SOCK_STREAM);
  const RestoreCheck found = check({listener("0.0.0.0", 7900), listener("::", 7900)});
  EXPECT_THAT(found.conflicts, ElementsAre(HasSubstr("listener 0.0.0.0:7900 can't come back: listener [::]:7900"),
                                           HasSubstr("listener [::]:7900 can't come back: listener [::]:7900")));
}

TEST_F(RestoreCheckTest, ALivingConnectionIsAConflict) {
  const Socket socket = open();
  const RestoreCheck found = check({socket});
  EXPECT_THAT(found.conflicts, ElementsAre(AllOf(HasSubstr(connection_text(socket)), HasSubstr("(pid "))));
  EXPECT_EQ(present().at(0).state, TcpState::established);
}

TEST_F(RestoreCheckTest, TimeWaitOnAWantedTupleIsCleared) {
  const Socket wanted = open();
  close_both();
  const RestoreCheck found = check({wanted});
  EXPECT_THAT(found.conflicts, IsEmpty());
  EXPECT_THAT(found.cleared, ElementsAre(HasSubstr(" in time-wait")));
  EXPECT_THAT(present(), IsEmpty());
}

TEST_F(RestoreCheckTest, TimeWaitOnAWantedPortIsClearedSoThatItCanBeBound) {
  const std::uint16_t port = open().local.port;
  close_both();
  EXPECT_EQ(check({listener("0.0.0.0", static_cast<std::uint16_t>(port + 1))}), RestoreCheck{});
  const RestoreCheck found = check({listener("0.0.0.0", port)});
  EXPECT_THAT(found.conflicts, IsEmpty());
  EXPECT_EQ(found.cleared.size(), 1U);
  EXPECT_NO_THROW((void)bound_socket(pod_, Address("0.0.0.0", port), SOCK_STREAM));
}

TEST_F(RestoreCheckTest, AnOrphanOnAWantedTupleIsCleared) {
  const Socket wanted = open();
  inner_.reset();  // the peer never closes: FIN_WAIT2 without a process
  ASSERT_TRUE(wait_for(outer_, POLLIN, kSoon));
  const RestoreCheck found = check({wanted});
  EXPECT_THAT(found.conflicts, IsEmpty());
  EXPECT_EQ(found.cleared.size(), 1U);
  EXPECT_THAT(present(), IsEmpty());
}

TEST_F(RestoreCheckTest, AMissingAddressIsNamedWithItsFormerInterface) {
  const InterfaceAddress before{"eth7", IpFamily::v4, make_endpoint("10.77.0.9", 0).address, 24};
  const RestoreCheck found = check({listener("10.77.0.9", 80), listener("fd77::9", 80)}, {before});
  EXPECT_THAT(found.conflicts, ElementsAre(AllOf(HasSubstr("10.77.0.9"), HasSubstr("eth7")), HasSubstr("fd77::9")));
}

TEST_F(RestoreCheckTest, ALoopbackThatIsDownHasNoAddress) {
  TestNetns other;
  other.run({"ip", "link", "set", "lo", "down"});
  other.run({"ip", "addr", "flush", "dev", "lo"});
  auto diag = must(SockDiag::create(other.fd()));
  auto reader = must(AddressReader::create(other.fd()));
  const auto found = must(agent::check_for_restore(other.fd(), diag, reader, "nftables", {listener("127.0.0.1", 80)}, {}));
  EXPECT_THAT(found.conflicts, ElementsAre(HasSubstr("127.0.0.1")));
}

TEST_F(RestoreCheckTest, CriusNftablesLockIsClearedAndOthersTablesStay) {
  pod_.run({"nft", "-f", "-"}, R"(
    table inet CRIU-4711 { chain input { type filter hook input priority 0; drop; }
    }
    table inet CRIU-mine { chain input { type filter hook input priority 0; }
    }
    table ip CRIU-12 { chain input { type filter hook input priority 0; }
    }
    table inet other { chain input { type filter hook input priority 0; }
    }
  )");
  const RestoreCheck found = check({});
  EXPECT_THAT(found.cleared, ElementsAre("nftables table inet CRIU-4711"));
  EXPECT_THAT(ruleset(), AllOf(HasSubstr("inet CRIU-mine"), HasSubstr("ip CRIU-12"), HasSubstr("inet other")));
  EXPECT_EQ(check({}), RestoreCheck{});
}

TEST_F(RestoreCheckTest, OurOwnLockStays) {
  auto lock = must(create_pod_lock(pod_.fd(), LockBackend::nftables, {}));
  must(lock->arm(seconds(20)));
  EXPECT_EQ(check({}), RestoreCheck{});
  EXPECT_THAT(ruleset(), HasSubstr("table inet lockstep"));
  const auto found = must(agent::check_for_restore(pod_.fd(), diag_, reader_, "iptables", {}, {}));
  EXPECT_THAT(found.cleared, ElementsAre("nftables table inet lockstep"));
}

constexpr const char* kCriuRules = R"(*filter
:CRIU - [0:0]
-I INPUT -j CRIU
-I OUTPUT -j CRIU
-A INPUT -s 192.0.2.1/32 -j DROP
-A CRIU -m mark --mark 0xC114 -j ACCEPT
-A CRIU -j DROP
COMMIT
)";
constexpr const char* kOurRules = R"(*filter
:LOCKSTEP-IN - [0:0]
:LOCKSTEP-OUT - [0:0]
-I INPUT -j LOCKSTEP-IN
-A LOCKSTEP-IN -j DROP
COMMIT
)";

class IptablesRemainsTest : public RestoreCheckTest, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Flavours, IptablesRemainsTest, ::testing::Values("-nft", "-legacy"),
                         [](const auto& flavour) { return flavour.param.substr(1); });

TEST_P(IptablesRemainsTest, AreClearedAndOtherRulesStay) {
  pod_.run({"iptables" + GetParam() + "-restore"}, kCriuRules);
  pod_.run({"iptables" + GetParam() + "-restore", "--noflush"}, kOurRules);
  ASSERT_FALSE(UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(milliseconds(100)));
  const RestoreCheck found = check({});
  EXPECT_THAT(found.cleared, ElementsAre("iptables" + GetParam() + " chains LOCKSTEP-IN LOCKSTEP-OUT",
                                         "iptables" + GetParam() + " chain CRIU"));
  EXPECT_THAT(found.conflicts, IsEmpty());
  EXPECT_TRUE(UdpFlow(pod_, pod_, "127.0.0.1", 7001).passes(kSoon));
  const std::string rules = pod_.run({"iptables" + GetParam() + "-save"});
  EXPECT_THAT(rules, HasSubstr("192.0.2.1"));
  EXPECT_EQ(rules.find("CRIU"), std::string::npos) << rules;
  EXPECT_EQ(check({}), RestoreCheck{});
}

class TrackedPodTest : public RestoreCheckTest {
 protected:
  /// Rules that look at a connection's state are what switches tracking on.
  TrackedPodTest() {
    pod_.run({"nft", "-f", "-"}, "table inet watch { chain c { type filter hook output priority 0; ct state new; }\n}\n");
  }
  int tracked() const { return std::stoi(pod_.run({"cat", "/proc/sys/net/netfilter/nf_conntrack_count"})); }
};

TEST_F(TrackedPodTest, StaleEntriesOfWantedConnectionsAreCleared) {
  const Socket wanted = open();
  Socket other = wanted;
  other.local.port = 1;
  EXPECT_EQ(tracked(), 1);
  EXPECT_EQ(check({wanted}).cleared.size(), 0U);  // it lives
  must(diag_.destroy(wanted));
  EXPECT_EQ(tracked(), 1);
  EXPECT_EQ(check({other}), RestoreCheck{});
  EXPECT_EQ(tracked(), 1);
  const RestoreCheck found = check({wanted});
  EXPECT_THAT(found.cleared, ElementsAre(HasSubstr("connection-tracking entry 10.77.0.1:")));
  EXPECT_EQ(tracked(), 0);
}

TEST_F(TrackedPodTest, IncomingAndIpv6OnesToo) {
  const Fd listening = bound_socket(pod_, Address("fd77::1", 7950), SOCK_STREAM);
  const Fd client = socket_in(peer_, AF_INET6, SOCK_STREAM);
  ASSERT_TRUE(connect_within(client, Address("fd77::1", 7950), kSoon));
  Fd server = accept_within(listening, kSoon);
  Socket wanted;
  for (const Socket& socket : present())
    if (socket.state == TcpState::established) wanted = socket;
  must(diag_.destroy(wanted));
  EXPECT_THAT(check({wanted}).cleared, ElementsAre(HasSubstr("connection-tracking entry [fd77::2]:")));
}

TEST_F(TrackedPodTest, AnEntryThatTranslatesAnEstablishedConnectionStays) {
  pod_.run({"nft", "-f", "-"},
           "table ip nat { chain c { type nat hook output priority -100; ip daddr 10.99.0.1 dnat to 10.77.0.2; }\n}\n");
  pod_.run({"ip", "route", "add", "10.99.0.1", "via", "10.77.0.2"});
  const Fd listening = bound_socket(peer_, Address("10.77.0.2", 7960), SOCK_STREAM);
  inner_ = socket_in(pod_, AF_INET, SOCK_STREAM);
  ASSERT_TRUE(connect_within(inner_, Address("10.99.0.1", 7960), kSoon));
  const Socket wanted = present().at(0);
  int on = 1;  // gone without a packet, as at a kill after the dump
  ASSERT_EQ(::setsockopt(inner_.get(), IPPROTO_TCP, 19 /* TCP_REPAIR */, &on, sizeof on), 0);
  inner_.reset();
  ASSERT_THAT(present(), IsEmpty());
  EXPECT_EQ(check({wanted}), RestoreCheck{});
  EXPECT_EQ(tracked(), 1);
}

}  // namespace
}  // namespace lockstep::testing
