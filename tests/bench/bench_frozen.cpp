/// lockstep-bench-frozen: what coordination adds to the time for which two communicating processes are frozen, by
/// CRIU's own statistics: `lockstep checkpoint --leave-running`, two bare `criu dump`s started together, and two that an
/// otherwise empty action script makes begin at the same moment, in turns, of the same processes. The bare ones drift
/// apart while CRIU starts, so that for a part of its dump each has the processors for itself; those in step have not.
/// Needs root, and a CRIU that can dump TCP sockets in LOCKSTEP_CRIU.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/criu_command.hpp"
#include "cli/criu_stats.hpp"
#include "common/netns.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/samples.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/reaper.hpp"
#include "tests/e2e/harness/traffic.hpp"

namespace {

using namespace lockstep;
using bench::Samples;

constexpr std::size_t kPods = 2;
/// Enough that every connection is in use at the freeze; not so much that the processors are.
constexpr int kMessagesPerSecond = 200;
constexpr seconds kDumpLimit{30};

struct Options {
  int repetitions = 20;
  bool json = false;
};

/// Of each repetition, the member that was frozen for longer.
struct Results {
  Samples bare;
  Samples in_step;
  Samples coordinated;
};

double frozen_ms(const std::filesystem::path& images) {
  const auto times = cli::read_criu_stats(images.string(), Operation::dump);
  if (!times || !times->dump) throw std::runtime_error("no statistics of CRIU in " + images.string());
  return std::chrono::duration<double, std::milli>(times->dump->frozen).count();
}

class Stage {
 public:
  Stage()
      : cluster_(kPods, e2e::Agents::sidecars),
        traffic_(cluster_.dir(), cluster_.network(), {.rate = kMessagesPerSecond}),
        group_(cluster_.write_group(traffic_.group())) {}

  [[nodiscard]] double coordinated() {
    const e2e::CommandResult result = cluster_.lockstep({"checkpoint", group_, "--leave-running"});
    if (result.exit_code != 0) throw std::runtime_error("lockstep checkpoint: " + result.out + result.err);
    return longest([&](const std::string& member) { return cluster_.images_of(member); });
  }

  /// The same command lines as lockstep's, without its hook.
  [[nodiscard]] double bare() { return dump_without_lockstep({}); }

  /// With an action script that makes them begin together, and does nothing else.
  [[nodiscard]] double in_step() {
    const std::filesystem::path arrivals = cluster_.dir() / "arrivals";
    std::filesystem::remove_all(arrivals);
    std::filesystem::create_directories(arrivals);
    ::setenv("LOCKSTEP_BENCH_STEP", arrivals.c_str(), 1);
    return dump_without_lockstep({"--action-script", bench::neighbour("lockstep-bench-step")});
  }

 private:
  [[nodiscard]] std::filesystem::path bare_images(const std::string& member) const {
    return cluster_.dir() / "bare" / member;
  }

  [[nodiscard]] double dump_without_lockstep(const std::vector<std::string>& options) {
    std::vector<e2e::Process> dumps;
    for (std::size_t pod = 0; pod < kPods; ++pod) {
      const std::string& member = traffic_.members()[pod];
      std::filesystem::remove_all(bare_images(member));
      std::filesystem::create_directories(bare_images(member));
      std::vector<std::string> command = bare_command(member, pod);
      command.insert(command.end(), options.begin(), options.end());
      dumps.push_back(e2e::Process::start({.command = command, .log = bare_images(member) / "out.log"}));
    }
    for (const e2e::Process& dump : dumps) {
      if (dump.wait(kDumpLimit) == 0) continue;
      throw std::runtime_error("criu dump: " +
                               cli::error_lines(e2e::read_file(dump.log().parent_path() / "dump.log"), 2000));
    }
    return longest([&](const std::string& member) { return bare_images(member); });
  }

  [[nodiscard]] std::vector<std::string> bare_command(const std::string& id, std::size_t pod) {
    cli::GroupMember member;
    member.id = MemberId(id);
    member.criu = {e2e::criu_path()};
    member.images = bare_images(id).string();
    auto argv =
        cli::dump_command({}, member, traffic_.pid_of(id), {"", cluster_.network().pod(pod).inode()}, true).argv;
    const auto script = std::ranges::find(argv, "--action-script");
    argv.erase(script, script + 2);
    return argv;
  }

  template <class ImagesOf>
  [[nodiscard]] double longest(const ImagesOf& images_of) const {
    double longest = 0;
    for (const std::string& member : traffic_.members()) longest = std::max(longest, frozen_ms(images_of(member)));
    return longest;
  }

  e2e::Cluster cluster_;
  e2e::Traffic traffic_;
  std::string group_;
};

Results measure(int repetitions) {
  Stage stage;
  Results results;
  for (int i = -1; i < repetitions; ++i) {
    const double bare = stage.bare();
    const double in_step = stage.in_step();
    const double coordinated = stage.coordinated();
    if (i < 0) continue;  // the first one reads CRIU from the disk
    results.bare.add(bare);
    results.in_step.add(in_step);
    results.coordinated.add(coordinated);
  }
  return results;
}

void print_text(const Results& results) {
  std::printf("Frozen time of the slower of two members, ms   median     min     max\n");
  for (const auto& [what, samples] : {std::pair{"two bare criu dumps", &results.bare},
                                      std::pair{"two in step, with an empty action script", &results.in_step},
                                      std::pair{"lockstep checkpoint --leave-running", &results.coordinated}}) {
    std::printf("%-45s %7.1f %7.1f %7.1f\n", what, samples->median(), samples->min(), samples->max());
  }
  std::printf("%-45s %7.1f\n", "more than bare", results.coordinated.median() - results.bare.median());
  std::printf("%-45s %7.1f\n", "more than in step", results.coordinated.median() - results.in_step.median());
}

void print_json(const Results& results) {
  const nlohmann::json json{{"frozen", {{"bare", results.bare.json()},
                                        {"in_step", results.in_step.json()},
                                        {"coordinated", results.coordinated.json()}}}};
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures the frozen time of a coordinated dump against that of bare ones. Needs root, CRIU's path in "
      "LOCKSTEP_CRIU, and lockstep's programs beside this one.",
      "lockstep-bench-frozen");
  Options options;
  app.add_option("--repetitions", options.repetitions, "Measured dumps of each kind")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "JSON instead of a table");
  CLI11_PARSE(app, argc, argv);
  const std::string bin = std::filesystem::path(bench::neighbour("lockstep")).parent_path();
  ::setenv("LOCKSTEP_BIN", bin.c_str(), 1);
  int exit_code = 0;
  try {
    (void)e2e::Reaper::instance();
    e2e::remove_stale_namespaces();
    const Results results = measure(options.repetitions);
    options.json ? print_json(results) : print_text(results);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-bench-frozen: %s\n", error.what());
    exit_code = 1;
  }
  e2e::Reaper::instance().end_all();
  return exit_code;
}
