#include "tests/bench/table_rows.hpp"

#include <array>
#include <cstdio>
#include <map>

namespace lockstep::bench {
namespace {

using nlohmann::json;

constexpr double kKibPerMib = 1024;

std::string number(double value, int digits = 2) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string in_unit(double value, const std::string& unit) { return number(value, value < 10 ? 2 : 1) + " " + unit; }

double median(const json& samples) { return samples.at("median_ms").get<double>(); }

/// A row whose target, where it has one, is about our own value.
TableRow compared(std::string what, std::string peers, double floor, double ours, const std::string& unit,
                  const std::optional<Target>& target) {
  TableRow row{
      std::move(what), std::move(peers), in_unit(floor, unit), in_unit(ours, unit), number(ours / floor), {}, {}};
  if (target) {
    row.target = target->text;
    row.met = ours <= target->limit;
  }
  return row;
}

/// A row whose target is about the ratio to the floor.
TableRow rated(std::string what, std::string peers, double floor, double ours, const std::string& unit, double limit,
               const std::string& floor_name) {
  TableRow row = compared(std::move(what), std::move(peers), floor, ours, unit, {});
  row.target = number(limit, 1) + " x " + floor_name;
  row.met = ours <= limit * floor;
  return row;
}

TableRow alone(std::string what, std::string peers, std::string ours, const Target& target, double value) {
  return {std::move(what), std::move(peers), {}, std::move(ours), {}, target.text, value <= target.limit};
}

void add_hook(const json& hook, std::vector<TableRow>& rows) {
  const double floor = median(hook.at("true"));
  const std::string peers = "criu-coordinator 1.7-2.0 ms; /bin/true 0.75-0.81 ms";
  rows.push_back(
      rated("hook call, first in its round", peers, floor, median(hook.at("fresh")), "ms", 1.6, "/bin/true"));
  rows.push_back(rated("hook call, said again", peers, floor, median(hook.at("repeated")), "ms", 1.6, "/bin/true"));
  const double peak = hook.at("peak_kib").get<double>() / kKibPerMib;
  rows.push_back(compared("hook's memory", "criu-coordinator 3.1 MiB",
                          hook.at("true_peak_kib").get<double>() / kKibPerMib, peak, "MiB", Target{2, "2 MiB"}));
}

void add_broker_size(const json& row, std::vector<TableRow>& rows) {
  const std::string members = std::to_string(row.at("members").get<int>()) + " agents";
  const auto mib = [](const json& size) { return size.at("rss_kib").get<double>() / kKibPerMib; };
  const std::string peers = "libzmq ROUTER 43, PUB 66, criu-coordinator 201 MiB";
  const Target target{64, "64 MiB"};
  const std::array<std::pair<const char*, const json*>, 3> moments{
      {{", connected", &row.at("broker_at_rest")},
       {", after rounds", &row.at("last_one").at("broker")},
       {", after 5 min of heartbeats", &row.at("broker_soaked")}}};
  for (const auto& [when, size] : moments) {
    rows.push_back(alone("broker's memory, " + members + when, peers, in_unit(mib(*size), "MiB"), target, mib(*size)));
  }
}

void add_barrier(const json& barrier, std::vector<TableRow>& rows) {
  struct Known {
    const char* peers;
    std::optional<Target> target;
  };
  const std::map<int, Known> known{
      {2, {"criu-coordinator 0.50, libzmq PUB 0.43, epoll 0.12 ms", Target{0.6, "0.6 ms"}}},
      {32, {"criu-coordinator 7.4, libzmq PUB 0.87, epoll 0.40 ms", {}}},
      {128, {"criu-coordinator 79, libzmq PUB 2.8, epoll 1.24 ms", Target{3, "3 ms"}}},
      {512, {"criu-coordinator 1531, libzmq PUB 6.9, epoll 4.8 ms", {}}},
      {1000, {"criu-coordinator 5610, libzmq PUB 13.8, epoll 10.5 ms", Target{15, "15 ms"}}}};
  for (const json& row : barrier) {
    const int members = row.at("members").get<int>();
    const Known about = known.contains(members) ? known.at(members) : Known{"", {}};
    const std::string what = "barrier, " + std::to_string(members) + " members";
    const json& last = row.at("last_one");
    rows.push_back(compared(what + ", since the last Ready", about.peers, median(last.at("floor")),
                            median(last.at("from_ready")), "ms", about.target));
    rows.push_back(compared(what + ", since the last hook's event", about.peers, median(last.at("floor")),
                            median(last.at("from_event")), "ms", about.target));
    const json& burst = row.at("all_at_once");
    rows.push_back(
        compared(what + ", all at once", "", median(burst.at("floor")), median(burst.at("from_event")), "ms", {}));
  }
  if (barrier.empty()) return;
  const json& largest = barrier.back();
  const long threads = largest.at("last_one").at("broker").at("threads").get<long>();
  const long threads_of_few = barrier.front().at("last_one").at("broker").at("threads").get<long>();
  rows.push_back({"broker's threads",
                  "criu-coordinator 1001",
                  {},
                  std::to_string(threads),
                  {},
                  "always the same",
                  threads == threads_of_few});
  add_broker_size(largest, rows);
}

/// The calm of the same broker is the floor.
void add_hostile(const json& hostile, std::vector<TableRow>& rows) {
  for (const json& row : hostile) {
    rows.push_back(rated("barrier under hostile load: " + row.at("attack").get<std::string>(), {},
                         median(row.at("calm")), median(row.at("attacked")), "ms", 2, "calm"));
  }
}

/// How a barrier grows between two numbers of members, against how the members do.
void add_growth(const json& barrier, std::vector<TableRow>& rows) {
  const json* few = nullptr;
  for (const json& row : barrier) {
    if (row.at("members") == 128) few = &row;
  }
  if (few == nullptr || &barrier.back() == few) return;
  const json& many = barrier.back();
  const double members = many.at("members").get<double>() / few->at("members").get<double>();
  const auto growth = [&](const char* what) {
    return median(many.at("last_one").at(what)) / median(few->at("last_one").at(what));
  };
  TableRow row = compared("barrier's growth, 128 to " + std::to_string(many.at("members").get<int>()) + " members",
                          "criu-coordinator 71, libzmq PUB 4.9, epoll 8.5", growth("floor"), growth("from_ready"), "x",
                          Target{members, "linear: " + number(members, 1) + " x"});
  rows.push_back(std::move(row));
}

/// The same barriers with CURVE on every connection, beside plain ones. The simulated agents open and seal as well, in
/// the one process that they share.
void add_encrypted(const json& encrypted, const json& plain, std::vector<TableRow>& rows) {
  for (const json& row : encrypted) {
    for (const json& same : plain) {
      if (same.at("members") != row.at("members")) continue;
      rows.push_back(compared(
          "encrypted barrier, " + std::to_string(row.at("members").get<int>()) + " members, since the last Ready",
          "plain: the floor", median(same.at("last_one").at("from_ready")), median(row.at("last_one").at("from_ready")),
          "ms", {}));
    }
  }
}

/// A Google Benchmark's result; null where it has not run, or failed.
const json* find_benchmark(const json& benchmarks, const std::string& name) {
  for (const json& benchmark : benchmarks) {
    if (benchmark.at("name") == name && benchmark.contains("real_time")) return &benchmark;
  }
  return nullptr;
}

double time_us(const json& benchmark) {
  static const std::map<std::string, double> kMicroseconds{{"ns", 1e-3}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}};
  return benchmark.at("real_time").get<double>() * kMicroseconds.at(benchmark.at("time_unit").get<std::string>());
}

/// Its time in microseconds; nothing where it has not run.
std::optional<double> time_us(const json& benchmarks, const std::string& name) {
  const json* benchmark = find_benchmark(benchmarks, name);
  return benchmark == nullptr ? std::nullopt : std::optional(time_us(*benchmark));
}

void add_kernel(const json& benchmarks, std::vector<TableRow>& rows) {
  if (const auto one = time_us(benchmarks, "arm_and_disarm/1/real_time")) {
    rows.push_back(alone("lock and unlock, one prepared pod",
                         "iptables-nft-restore 70 ms, nft 20 ms, netlink batch 10-33 us", in_unit(*one, "us"),
                         {40, "40 us"}, *one));
  }
  if (const auto all = time_us(benchmarks, "arm_and_disarm/100/real_time")) {
    rows.push_back(alone("lock and unlock, 100 pods", "kept sockets 2.9 ms, new ones 1436 ms",
                         in_unit(*all / 1000, "ms"), {4, "4 ms"}, *all / 1000));
  }
  for (const auto& [sockets, peers] : {std::pair{"20000", "raw walk 17.5, libnl's cache 76, ss 43 ms"},
                                       std::pair{"200000", "raw walk 202, libnl's cache 13108, ss 403 ms"}}) {
    const auto floor = time_us(benchmarks, std::string("raw_walk/") + sockets + "/real_time");
    const auto ours = time_us(benchmarks, std::string("tcp_sockets/") + sockets + "/real_time");
    if (!floor || !ours) continue;
    rows.push_back(rated(std::string("socket table, ") + sockets + " sockets", peers, *floor / 1000, *ours / 1000, "ms",
                         1.2, "raw walk"));
  }
}

/// Whole rounds in the broker: time, and the most memory at one time for each connection.
void add_connections(const json& benchmarks, std::vector<TableRow>& rows) {
  for (const auto& [what, name] :
       {std::pair{"matching", "match/mirrored"}, std::pair{"matching through Services", "match/service"},
        std::pair{"revalidation", "revalidate_round"}}) {
    for (const auto& [size, arguments] : {std::pair{"1000 members x 200 sockets", "/members:1000/each:200"},
                                          std::pair{"2 x 100000", "/members:2/each:100000"}}) {
      const json* result = find_benchmark(benchmarks, std::string(name) + arguments);
      if (result == nullptr) continue;
      const double ms = time_us(*result) / 1000;
      const double bytes = result->at("bytes_per_connection").get<double>();
      TableRow row{std::string(what) + ", " + size,
                   {},
                   {},
                   in_unit(ms, "ms") + ", " + number(bytes, 0) + " B each",
                   {},
                   "1 s, 1 KiB each",
                   ms <= 1000 && bytes <= 1024};
      rows.push_back(std::move(row));
    }
  }
}

void add_frozen(const json& frozen, std::vector<TableRow>& rows) {
  const double ours = median(frozen.at("coordinated"));
  for (const auto& [key, floor_name] :
       {std::pair{"bare", "bare criu: the floor"},
        std::pair{"in_step", "two dumps in step with an empty action script: the floor"}}) {
    const double floor = median(frozen.at(key));
    rows.push_back(
        compared("frozen time, two members", floor_name, floor, ours, "ms", Target{floor + 5, "floor + 5 ms"}));
  }
}

}  // namespace

std::vector<TableRow> table_rows(const json& results) {
  std::vector<TableRow> rows;
  if (results.contains("hook")) add_hook(results.at("hook"), rows);
  if (results.contains("barrier")) {
    add_barrier(results.at("barrier"), rows);
    add_growth(results.at("barrier"), rows);
    if (results.contains("encrypted_barrier"))
      add_encrypted(results.at("encrypted_barrier"), results.at("barrier"), rows);
  }
  if (results.contains("hostile")) add_hostile(results.at("hostile"), rows);
  if (results.contains("benchmarks")) {
    add_kernel(results.at("benchmarks"), rows);
    add_connections(results.at("benchmarks"), rows);
  }
  if (results.contains("frozen")) add_frozen(results.at("frozen"), rows);
  return rows;
}

}  // namespace lockstep::bench
