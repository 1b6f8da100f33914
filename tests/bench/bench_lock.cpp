/// What it costs to lock and unlock pods. Needs root. Every benchmark makes namespaces of its own; arguments are
/// numbers of pods.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "agent/kernel/iptables_lock.hpp"
#include "agent/kernel/nft_lock.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "tests/netns/test_netns.hpp"

namespace lockstep::testing {
namespace {

constexpr milliseconds kLease = seconds(30);

/// Pods with a prepared lock each.
struct Pods {
  explicit Pods(std::int64_t count, LockBackend backend = LockBackend::nftables)
      : netns(static_cast<std::size_t>(count)) {
    for (const TestNetns& pod : netns) locks.push_back(must(create_pod_lock(pod.fd(), backend, {})));
  }
  std::vector<TestNetns> netns;
  std::vector<std::unique_ptr<PodLock>> locks;
};

double microseconds_since(TimePoint start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// The agent's way: prepared tables, kept sockets.
void arm_and_disarm(benchmark::State& state) {
  Pods pods(state.range(0));
  double arming = 0;
  for (auto _ : state) {
    const TimePoint start = Clock::now();
    for (const auto& lock : pods.locks) must(lock->arm(kLease));
    arming += microseconds_since(start);
    for (const auto& lock : pods.locks) must(lock->disarm());
  }
  state.counters["arm_us"] = benchmark::Counter(arming, benchmark::Counter::kAvgIterations);
}
BENCHMARK(arm_and_disarm)->Arg(1)->Arg(10)->Arg(100)->UseRealTime()->Unit(benchmark::kMicrosecond);

void renew(benchmark::State& state) {
  Pods pods(1);
  must(pods.locks[0]->arm(kLease));
  for (auto _ : state) must(pods.locks[0]->renew(kLease));
}
BENCHMARK(renew)->UseRealTime()->Unit(benchmark::kMicrosecond);

/// For comparison: a table made and removed each time, over a kept socket.
void prepare_arm_and_remove(benchmark::State& state) {
  Pods pods(1);
  for (auto _ : state) {
    must(pods.locks[0]->prepare());
    must(pods.locks[0]->arm(kLease));
    must(pods.locks[0]->remove());
  }
}
BENCHMARK(prepare_arm_and_remove)->UseRealTime()->Unit(benchmark::kMicrosecond);

/// For comparison: setns and a new socket for each step. Closing it after a deletion waits for an RCU grace period.
void new_socket_each_time(benchmark::State& state) {
  Pods pods(state.range(0));
  for (auto _ : state) {
    for (const TestNetns& pod : pods.netns) must(must(NftLock::create(pod.fd(), {}))->arm(kLease));
    for (const TestNetns& pod : pods.netns) must(must(NftLock::create(pod.fd(), {}))->disarm());
  }
}
BENCHMARK(new_socket_each_time)->Arg(1)->Arg(100)->UseRealTime()->Unit(benchmark::kMicrosecond);

/// The fallback: iptables-restore and ip6tables-restore, one after the other, for each step.
void iptables_arm_and_disarm(benchmark::State& state) {
  TestNetns pod;
  auto lock = create_pod_lock(pod.fd(), LockBackend::iptables, {});
  if (!lock) return state.SkipWithError(lock.error().message().c_str());
  for (auto _ : state) {
    must((*lock)->arm(kLease));
    must((*lock)->disarm());
  }
}
BENCHMARK(iptables_arm_and_disarm)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lockstep::testing
