/// lockstep-bench-hostile: what a barrier through a real lockstep-broker costs while the broker is attacked, beside the
/// same broker's calm a moment before. Attackers that send without end are niced: they would run on other machines.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/bench/agents.hpp"
#include "tests/bench/samples.hpp"
#include "tests/hostile/attack.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::bench;

struct Options {
  std::size_t members = 32;
  int rounds = 50;
  bool json = false;
};

struct Case {
  const char* name;
  hostile::Plan plan;
  bool at_publisher = false;
  std::size_t settled = 1;  ///< so many connections held: the attack is under way
};

std::vector<Case> cases() {
  return {{"slow greetings", hostile::slow_loris(), false, 400},
          {"10,000 silent connections", hostile::silent(10'000), false, 9'000},
          {"10,000 idle peers", hostile::greeted(10'000), false, 9'900},
          {"garbage before the handshake", hostile::garbage()},
          {"frames of 1 GiB announced", hostile::announced_gigabyte()},
          {"messages that are none", hostile::nonsense()},
          {"questions without end", hostile::questions()},
          {"large messages without end", hostile::large_messages()},
          {"subscriptions without end", hostile::subscriptions(), true}};
}

struct Row {
  Samples calm;
  Samples attacked;
  long peak_kib = 0;
};

Samples rounds(Agents& agents, int count) {
  Samples samples;
  for (int i = 0; i < count; ++i) {
    agents.open_round();
    for (const HookAction action :
         {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump, HookAction::network_unlock}) {
      samples.add(agents.pass(action, Arrival::last_one).from_event);
    }
  }
  return samples;
}

Row measure(const Case& each, const Options& options) {
  const BrokerProcess broker;
  Row row;
  try {
    Agents agents(broker, options.members);
    (void)rounds(agents, 3);
    row.calm = rounds(agents, options.rounds);
    const hostile::Attack attack(each.at_publisher ? broker.publisher_port() : broker.router_port(), each.plan);
    const TimePoint limit = Clock::now() + seconds(30);
    while (attack.tally().held < each.settled && Clock::now() < limit) (void)rounds(agents, 1);
    row.attacked = rounds(agents, options.rounds);
    row.peak_kib = size_of(broker.pid()).peak_kib;
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string(each.name) + ": " + error.what() + "\n" + broker.log_tail());
  }
  return row;
}

/// The attacker's connections, and the broker's, which inherits the limit.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // what is too low shows when a connection can't be made
}

void run(const Options& options) {
  nlohmann::json results = nlohmann::json::array();
  if (!options.json) {
    std::printf("Barrier of %zu members since the last hook's event, median of %d rounds, ms\n%-30s %8s %9s %7s  %s\n",
                options.members, options.rounds, "", "calm", "attacked", "ratio", "broker's peak");
  }
  for (const Case& each : cases()) {
    const Row row = measure(each, options);
    results.push_back({{"attack", each.name},
                       {"members", options.members},
                       {"calm", row.calm.json()},
                       {"attacked", row.attacked.json()},
                       {"peak_kib", row.peak_kib}});
    if (options.json) continue;
    std::printf("%-30s %8.2f %9.2f %7.2f  %.1f MiB\n", each.name, row.calm.median(), row.attacked.median(),
                row.attacked.median() / row.calm.median(), static_cast<double>(row.peak_kib) / 1024);
    std::fflush(stdout);
  }
  if (options.json) std::printf("%s\n", nlohmann::json{{"hostile", results}}.dump(2).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures barriers through a real lockstep-broker under attack; it has to lie beside this program.",
               "lockstep-bench-hostile");
  Options options;
  app.add_option("--members", options.members, "Members of each round")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Measured rounds, calm and attacked")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "JSON instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    raise_descriptor_limit();
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-bench-hostile: %s\n", error.what());
    return 1;
  }
  return 0;
}
