/// lockstep-bench-barrier: what a barrier costs through a real lockstep-broker over TCP, with one simulated agent for
/// each member, beside a bare epoll server in the same run; and the broker's memory and threads.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/bench/agents.hpp"
#include "tests/bench/echo_barrier.hpp"
#include "tests/bench/samples.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::bench;

constexpr std::array kArrivals{Arrival::last_one, Arrival::all_at_once};
/// Heartbeats of five minutes. libzmq's queues move on through their memory with every message, so that a broker's size
/// is only reached with time.
constexpr int kSoakHeartbeats = 600;
constexpr std::array kActions{HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump,
                              HookAction::network_unlock};

struct Options {
  std::vector<std::size_t> members{2, 32, 128, 512, 1000};
  int rounds = 5;
  bool soak = false;
  bool encrypted = false;
  bool json = false;
};

/// One way to arrive, over all rounds.
struct Measured {
  Samples from_event;  ///< all four barriers
  Samples from_ready;
  std::array<Samples, kActions.size()> by_action;  ///< from the event on, each barrier for itself
  Samples floor;
  ProcessSize broker;  ///< after the rounds
};

struct Row {
  std::size_t members = 0;
  std::array<Measured, kArrivals.size()> measured;  ///< as in kArrivals
  ProcessSize at_rest;                              ///< the broker's, before the first round
  ProcessSize soaked;                               ///< and after kSoakHeartbeats
};

void run_round(Agents& agents, Arrival arrival, Measured& into) {
  agents.open_round();
  for (std::size_t i = 0; i < kActions.size(); ++i) {
    const BarrierTimes times = agents.pass(kActions[i], arrival);
    into.from_event.add(times.from_event);
    into.from_ready.add(times.from_ready);
    into.by_action[i].add(times.from_event);
  }
}

void measure_floor(Row& row, int rounds) {
  EchoBarrier echo(row.members);
  for (std::size_t i = 0; i < kArrivals.size(); ++i) {
    (void)echo.pass(kArrivals[i]);  // the first one pays for cold caches
    for (int n = 0; n < rounds * static_cast<int>(kActions.size()); ++n)
      row.measured[i].floor.add(echo.pass(kArrivals[i]));
  }
}

Row measure(std::size_t members, int rounds, bool soak, bool encrypted) {
  Row row;
  row.members = members;
  const BrokerProcess broker(encrypted);
  try {
    Agents agents(broker, members);
    row.at_rest = size_of(broker.pid());
    Measured warm_up;
    run_round(agents, Arrival::last_one, warm_up);
    for (std::size_t i = 0; i < kArrivals.size(); ++i) {
      for (int round = 0; round < rounds; ++round) run_round(agents, kArrivals[i], row.measured[i]);
      row.measured[i].broker = size_of(broker.pid());
    }
    for (int i = 0; soak && i < kSoakHeartbeats; ++i) agents.heartbeat();
    row.soaked = size_of(broker.pid());
  } catch (const std::exception& error) {
    throw std::runtime_error(std::to_string(members) + " members: " + error.what() + "\n" + broker.log_tail());
  }
  measure_floor(row, rounds);
  return row;
}

nlohmann::json json_of(const ProcessSize& size) {
  return {{"rss_kib", size.rss_kib}, {"peak_kib", size.peak_kib}, {"threads", size.threads}};
}

nlohmann::json json_of(const Row& row) {
  nlohmann::json json{
      {"members", row.members}, {"broker_at_rest", json_of(row.at_rest)}, {"broker_soaked", json_of(row.soaked)}};
  for (std::size_t i = 0; i < kArrivals.size(); ++i) {
    const Measured& measured = row.measured[i];
    nlohmann::json& way = json[kArrivals[i] == Arrival::last_one ? "last_one" : "all_at_once"];
    way = {{"from_event", measured.from_event.json()},
           {"from_ready", measured.from_ready.json()},
           {"floor", measured.floor.json()},
           {"broker", json_of(measured.broker)}};
    for (std::size_t n = 0; n < kActions.size(); ++n) {
      way[std::string(to_string(phase_of(kActions[n])))] = measured.by_action[n].json();
    }
  }
  return json;
}

std::string text_of(const Samples& samples) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.2f (%.2f-%.2f)", samples.median(), samples.min(), samples.max());
  return text.data();
}

double mib(long kib) { return static_cast<double>(kib) / 1024; }

void print(const Row& row) {
  for (std::size_t i = 0; i < kArrivals.size(); ++i) {
    const Measured& measured = row.measured[i];
    std::printf("%5zu  %-9s  %-21s  %-21s  %-21s  %5.1f  ", row.members,
                kArrivals[i] == Arrival::last_one ? "last one" : "at once", text_of(measured.floor).c_str(),
                text_of(measured.from_ready).c_str(), text_of(measured.from_event).c_str(),
                measured.from_ready.median() / measured.floor.median());
    for (const Samples& one : measured.by_action)
      std::printf("%s%.2f", &one == &measured.by_action[0] ? "" : " / ", one.median());
    std::printf("  %.1f MiB, %ld threads\n", mib(measured.broker.peak_kib), measured.broker.threads);
  }
  std::printf("       broker: %.1f MiB when all agents have connected, %.1f MiB at the end\n", mib(row.at_rest.rss_kib),
              mib(row.soaked.rss_kib));
  std::fflush(stdout);
}

/// Two connections for each agent, here and in the broker, which inherits the limit.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // what is too low shows when a connection can't be made
}

void run(const Options& options) {
  nlohmann::json rows = nlohmann::json::array();
  if (!options.json) {
    std::printf(
        "Barrier in ms, median (min-max), until all have the release; all four phases of %d rounds each\n"
        "    N  arrival    floor: epoll           since last Ready       since last HookEvent   Ready/"
        "floor  prepare / lock / commit / unlock  broker's peak\n",
        options.rounds);
  }
  for (const std::size_t members : options.members) {
    const Row row = measure(members, options.rounds, options.soak, options.encrypted);
    if (options.json) {
      rows.push_back(json_of(row));
    } else {
      print(row);
    }
  }
  if (options.json) std::printf("%s\n", nlohmann::json{{options.encrypted ? "encrypted_barrier" : "barrier", rows}}.dump(2).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures barriers through a real lockstep-broker, which has to lie beside this program.",
               "lockstep-bench-barrier");
  Options options;
  app.add_option("--members", options.members, "Numbers of members, with commas between them")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Measured rounds for each number and way to arrive")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--soak", options.soak, "After the rounds, send as many heartbeats as agents do in five minutes");
  app.add_flag("--encrypted", options.encrypted, "With keys: CURVE on every connection, here and in the broker");
  app.add_flag("--json", options.json, "JSON instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    raise_descriptor_limit();
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-bench-barrier: %s\n", error.what());
    return 1;
  }
  return 0;
}
