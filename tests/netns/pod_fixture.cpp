#include "tests/netns/pod_fixture.hpp"

#include <poll.h>

#include <algorithm>

#include "agent/kernel/iptables_lock.hpp"

namespace lockstep::testing {
namespace {

Result<std::unique_ptr<PodLock>> make_nft(const Fd& netns, std::vector<Endpoint> exempt) {
  return create_pod_lock(netns, LockBackend::nftables, std::move(exempt));
}

Result<std::unique_ptr<PodLock>> make_iptables(const Fd& netns, std::vector<Endpoint> exempt, const char* flavour) {
  auto lock = IptablesLock::create(netns, std::move(exempt), flavour);
  if (!lock) return lock;
  if (auto done = (*lock)->prepare(); !done) return Failure(done.error());
  return lock;
}

Result<std::unique_ptr<PodLock>> make_iptables_nft(const Fd& netns, std::vector<Endpoint> exempt) {
  return make_iptables(netns, std::move(exempt), "-nft");
}

Result<std::unique_ptr<PodLock>> make_iptables_legacy(const Fd& netns, std::vector<Endpoint> exempt) {
  return make_iptables(netns, std::move(exempt), "-legacy");
}

}  // namespace

const std::vector<Backend>& backends() {
  static const std::vector<Backend> all{
      {"nftables", milliseconds(300), milliseconds(1000), make_nft},
      {"iptables_nft", seconds(1), milliseconds(3500), make_iptables_nft},
      {"iptables_legacy", seconds(1), milliseconds(3500), make_iptables_legacy},
  };
  return all;
}

std::string backend_name(const ::testing::TestParamInfo<Backend>& info) { return info.param.name; }

Traffic::Traffic(const TestNetns& pod, const TestNetns& peer) {
  const struct {
    const char* name;
    const TestNetns& from;
    const TestNetns& to;
    const char* address;
  } ways[] = {
      {"out v4", pod, peer, "10.77.0.2"}, {"out v6", pod, peer, "fd77::2"},       {"in v4", peer, pod, "10.77.0.1"},
      {"in v6", peer, pod, "fd77::1"},    {"loopback v4", pod, pod, "127.0.0.1"}, {"loopback v6", pod, pod, "::1"},
  };
  for (const auto& way : ways) {
    udp_.push_back({std::string("udp ") + way.name, UdpFlow(way.from, way.to, way.address, 7001)});
    const Address target(way.address, 7002);
    tcp_.push_back({std::string("tcp ") + way.name, way.from, target, bound_socket(way.to, target, SOCK_STREAM)});
  }
}

std::vector<std::string> Traffic::passing(milliseconds limit) {
  // Everything starts at once, and all of it shares one wait.
  std::vector<Fd> clients;
  for (Udp& udp : udp_) udp.flow.send();
  for (const Tcp& tcp : tcp_) {
    clients.push_back(socket_in(tcp.from, tcp.target.family(), SOCK_STREAM));
    (void)::connect(clients.back().get(), tcp.target.get(), tcp.target.length);
  }
  const TimePoint deadline = Clock::now() + limit;
  const auto left = [&] { return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - Clock::now())); };
  std::vector<std::string> passed;
  for (Udp& udp : udp_)
    if (udp.flow.arrived(left())) passed.push_back(udp.name);
  for (const Tcp& tcp : tcp_)
    if (const Fd accepted = accept_within(tcp.listener, left())) passed.push_back(tcp.name);
  return passed;
}

void PodTest::SetUp() {
  auto made = GetParam().make(pod_.fd(), {});
  if (!made) GTEST_SKIP() << made.error().message();
  lock_ = std::move(*made);
}

void PodTest::make_lock(std::vector<Endpoint> exempt) { lock_ = must(GetParam().make(pod_.fd(), std::move(exempt))); }

void PodTest::expect_open(Traffic& traffic) { EXPECT_EQ(traffic.passing(kArrives).size(), 12U); }

void PodTest::expect_closed(Traffic& traffic) { EXPECT_EQ(traffic.passing(kBlocked), std::vector<std::string>{}); }

}  // namespace lockstep::testing
