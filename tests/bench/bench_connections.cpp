/// Matching and revalidation over whole rounds: many members with some connections each, few with very many, and the
/// same through Service addresses. `bytes_per_connection` is the most that was allocated at one time beyond the input.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "broker/core/connection_matching.hpp"
#include "broker/core/revalidation.hpp"

namespace {

std::size_t allocated = 0;
std::size_t most_allocated = 0;

}  // namespace

// Not inline: g++ 12 would take the free() within for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  allocated += malloc_usable_size(memory);
  most_allocated = std::max(most_allocated, allocated);
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  allocated -= malloc_usable_size(memory);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace lockstep::broker {
namespace {

struct Round {
  std::vector<SocketTable> tables;
  std::vector<std::vector<InterfaceAddress>> addresses;
  std::vector<MemberSockets> members;
};

Endpoint endpoint(std::size_t pod, std::size_t port) {
  Endpoint result;
  result.address = {10, static_cast<std::uint8_t>(pod >> 16U), static_cast<std::uint8_t>(pod >> 8U),
                    static_cast<std::uint8_t>(pod)};
  result.port = static_cast<std::uint16_t>(port);
  return result;
}

void connect(Round& round, std::size_t from, std::size_t to, std::size_t number, bool service) {
  Socket client;
  client.state = TcpState::established;
  client.inode = number + 1;
  // 50,000 client ports for each server port, as between two hosts in truth.
  client.local = endpoint(from + 1, 10'000 + number % 50'000);
  client.remote = endpoint(to + 1, 80 + number / 50'000);
  client.bytes_acked = 101;
  client.bytes_received = 200;
  Socket server = client;
  std::swap(server.local, server.remote);
  server.bytes_acked = 200;
  server.bytes_received = 100;
  if (service) client.remote = endpoint(0x600000 + to, client.remote.port);
  round.tables[from].push_back(client);
  round.tables[to].push_back(server);
}

/// Each member is connected with the next one; `each` is the number of sockets in a table.
Round make_round(std::size_t members, std::size_t each, bool service) {
  Round round;
  round.tables.resize(members);
  round.addresses.resize(members);
  for (std::size_t i = 0; i < members; ++i) {
    round.addresses[i] = {{"eth0", IpFamily::v4, endpoint(i + 1, 0).address, 8}};
    Socket listener;
    listener.state = TcpState::listen;
    for (std::size_t port = 80; port < 83; ++port) {
      listener.local = endpoint(0, port);
      listener.local.address = {};
      round.tables[i].push_back(listener);
    }
  }
  for (std::size_t i = 0; i < members; ++i) {
    for (std::size_t j = 0; j < each / 2; ++j) connect(round, i, (i + 1) % members, j, service);
  }
  for (std::size_t i = 0; i < members; ++i) {
    round.members.push_back({PodId{"boot", i + 1}, round.tables[i], round.addresses[i]});
  }
  return round;
}

std::size_t connections(const Round& round) {
  std::size_t sockets = 0;
  for (const SocketTable& table : round.tables) sockets += table.size();
  return sockets / 2;
}

void count(benchmark::State& state, const Round& round, std::size_t before) {
  state.counters["connections"] = static_cast<double>(connections(round));
  state.counters["bytes_per_connection"] =
      static_cast<double>(most_allocated - before) / static_cast<double>(connections(round));
}

void match(benchmark::State& state, bool service) {
  const Round round =
      make_round(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)), service);
  const std::size_t before = allocated;
  most_allocated = allocated;
  for (auto _ : state) {
    const Matching result = match_connections(round.members);
    if (result.pairs.size() < connections(round) - 3 * round.members.size()) state.SkipWithError("not all matched");
    benchmark::DoNotOptimize(result.labels.data());
  }
  count(state, round, before);
}

void revalidate_round(benchmark::State& state) {
  const Round round =
      make_round(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)), false);
  const Matching matching = match_connections(round.members);
  const ConnectionPolicy policy = resolve({}, {});
  std::vector<SavedMember> saved;
  std::vector<FoundMember> found;
  for (std::size_t i = 0; i < round.members.size(); ++i) {
    saved.push_back({MemberId("m"), round.tables[i], matching.labels[i], policy});
    found.push_back({round.tables[i], round.addresses[i]});
  }
  const std::size_t before = allocated;
  most_allocated = allocated;
  for (auto _ : state) {
    const std::size_t differences = revalidate(saved, found).size();
    if (differences != 3 * round.members.size())
      state.SkipWithError("unexpected differences");  // listeners have inode 0
  }
  count(state, round, before);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({1000, 200})->Args({2, 100'000})->Args({2, 12'500})->Args({2, 25'000})->Args({2, 50'000});
  bench->ArgNames({"members", "each"})->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(match, mirrored, false)->Apply(sizes);
BENCHMARK_CAPTURE(match, service, true)->Apply(sizes);
BENCHMARK(revalidate_round)->Apply(sizes);

}  // namespace
}  // namespace lockstep::broker
