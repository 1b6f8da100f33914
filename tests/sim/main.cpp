/// lockstep-sim: runs seeds of the simulation, or shows one.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "tests/sim/scenario.hpp"

namespace {

using lockstep::sim::Outcome;
using lockstep::sim::Sweep;
using lockstep::sim::Trace;

constexpr std::size_t kLinesOfAReport = 60;

struct Options {
  std::string seeds = "0..10000";
  std::uint64_t seed = 0;
  bool trace = false;
  bool keep_going = false;
  int members = 0;
};

int show(const Options& options) {
  Trace trace;
  trace.wanted = trace.print = options.trace;
  const Outcome outcome = lockstep::sim::run_seed(options.seed, options.members, trace);
  std::printf("seed %llu: %d rounds, %d of %d with faults committed, %d steps: %s\n",
              static_cast<unsigned long long>(options.seed), outcome.rounds, outcome.committed, outcome.faulty,
              outcome.steps, outcome.broken.value_or("no rule is broken").c_str());
  return outcome.broken ? 1 : 0;
}

void print_sum(const Outcome& sum, std::uint64_t seeds, std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu seeds, %d rounds (%d of %d with faults committed), %d steps, %.1f s\n",
              static_cast<unsigned long long>(seeds), sum.rounds, sum.committed, sum.faulty, sum.steps, took.count());
}

/// Goes on after a failure, and counts which rules are broken how often, with the first seeds.
int survey(std::uint64_t from, std::uint64_t to, int members) {
  const auto begin = std::chrono::steady_clock::now();
  std::map<std::string, std::pair<int, std::string>> kinds;
  Outcome sum;
  for (std::uint64_t next = from; next < to;) {
    const Sweep part = lockstep::sim::sweep(next, to, members);
    sum.rounds += part.sum.rounds;
    sum.committed += part.sum.committed;
    sum.faulty += part.sum.faulty;
    sum.steps += part.sum.steps;
    if (!part.failed) break;
    std::string kind = *part.sum.broken;
    for (char& c : kind) c = c >= '0' && c <= '9' ? '#' : c;
    auto& [count, seeds] = kinds[kind];
    if (++count <= 8) seeds += " " + std::to_string(*part.failed);
    next = *part.failed + 1;
  }
  for (const auto& [kind, found] : kinds)
    std::printf("%5d x %s\n        seeds%s\n", found.first, kind.c_str(), found.second.c_str());
  print_sum(sum, to - from, begin);
  return kinds.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs lockstep's cores in a simulated world with faults, and checks what must always hold.",
               "lockstep-sim");
  Options options;
  app.add_option("--seeds", options.seeds, "Range FROM..TO, TO not included (default: 0..10000)");
  const auto* one = app.add_option("--seed", options.seed, "This seed alone");
  app.add_flag("--trace", options.trace, "Print what happens; with --seed");
  app.add_flag("--keep-going", options.keep_going, "Don't stop at the first failure; count the kinds of failures");
  app.add_option("--members", options.members, "Members of each group (default: 2 to 4, by the seed)")
      ->check(CLI::Range(0, 64));
  CLI11_PARSE(app, argc, argv);
  if (one->count() > 0) return show(options);

  unsigned long long from = 0;
  unsigned long long to = 0;
  if (std::sscanf(options.seeds.c_str(), "%llu..%llu", &from, &to) != 2 || from >= to) {
    std::fprintf(stderr, "lockstep-sim: --seeds %s: it has to be FROM..TO\n", options.seeds.c_str());
    return 2;
  }
  if (options.keep_going) return survey(from, to, options.members);
  const auto begin = std::chrono::steady_clock::now();
  const Sweep result = lockstep::sim::sweep(from, to, options.members);
  print_sum(result.sum, result.failed.value_or(to) - from, begin);
  if (!result.failed) return 0;
  std::printf("%s", lockstep::sim::report(*result.failed, options.members, kLinesOfAReport).c_str());
  return 1;
}
