/// lockstep-app-cycles: checkpoints real applications outside of a test. As a table: what became of each, and how long
/// everything took. As a soak: cycles back to back for a time, until one of them shows a fault.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/e2e/apps/own_namespaces.hpp"
#include "tests/e2e/apps/scene.hpp"
#include "tests/e2e/harness/reaper.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kTableCycles = 3;
/// An application is judged and started anew after this long: clients keep what they have written.
constexpr auto kSoakTurn = 3min;

struct Options {
  std::vector<std::string> applications;
  std::chrono::seconds soak{};  ///< zero: the table
};

void print(const Kind& kind, const Faults& faults) {
  for (const std::string& fault : faults) std::fprintf(stderr, "%s: %s\n", kind.title().c_str(), fault.c_str());
}

/// Whatever a test program left behind would be seen by the next application.
void clean_up() { e2e::Reaper::instance().end_all(); }

template <class Duration>
std::string median_ms(std::vector<Duration> times) {
  if (times.empty()) return "-";
  std::ranges::sort(times);
  const auto ms = std::chrono::duration<double, std::milli>(times[times.size() / 2]).count();
  char text[32];
  std::snprintf(text, sizeof text, ms < 10 ? "%.1f ms" : "%.0f ms", ms);
  return text;
}

std::string median_ms(const std::vector<Frozen>& frozen, std::chrono::microseconds Frozen::*part) {
  std::vector<std::chrono::microseconds> times;
  for (const Frozen& one : frozen) times.push_back(one.*part);
  return median_ms(times);
}

std::string megabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

void print_row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void print_header(const std::vector<std::string>& cells) {
  print_row(cells);
  print_row(std::vector<std::string>(cells.size(), "---"));
}

/// One line of the table, and one of that about the frozen time.
bool measure(const Kind& kind, std::vector<std::vector<std::string>>& parts) {
  std::vector<std::chrono::milliseconds> dumps, restores;
  std::vector<std::chrono::microseconds> lockstep, pauses;
  std::vector<Frozen> frozen;
  std::uint64_t bytes = 0;
  Scene scene(kind);
  Faults faults;
  for (int cycle = 0; cycle < kTableCycles && faults.empty(); ++cycle) {
    faults = scene.kill_and_restore();
    if (!faults.empty()) break;
    dumps.push_back(scene.measured().dump);
    restores.push_back(scene.measured().restore);
    bytes = std::max(bytes, scene.measured().image_bytes);
    faults = scene.leave_running();
    if (scene.measured().frozen) {
      frozen.push_back(*scene.measured().frozen);
      lockstep.push_back(scene.measured().lockstep);
    }
    pauses.push_back(scene.measured().pause);
  }
  const bool survived = faults.empty();
  const Faults judged = survived ? scene.finish() : Faults{};
  print(kind, faults);
  print(kind, judged);
  std::sort(pauses.begin(), pauses.end(), std::greater<>());
  pauses.resize(std::min<std::size_t>(pauses.size(), 1));
  const std::string lost = !survived        ? "-"
                           : judged.empty() ? "0 of " + std::to_string(scene.acknowledged())
                                            : "see above";
  print_row({kind.title(), std::to_string(kind.pods), std::to_string(scene.processes()),
             std::to_string(scene.connections()), survived ? "yes" : "NO", lost, megabytes(bytes), median_ms(dumps),
             median_ms(restores), median_ms(frozen, &Frozen::still), median_ms(lockstep), median_ms(pauses)});
  parts.push_back({kind.title(), std::to_string(kind.pods), median_ms(frozen, &Frozen::still),
                   median_ms(frozen, &Frozen::freezing), median_ms(frozen, &Frozen::memory),
                   median_ms(frozen, &Frozen::rest), median_ms(frozen, &Frozen::others),
                   median_ms(frozen, &Frozen::hooks), median_ms(frozen, &Frozen::lock),
                   median_ms(frozen, &Frozen::barriers), median_ms(lockstep)});
  return survived && judged.empty();
}

bool table(const std::vector<Kind>& chosen) {
  print_header({"application", "members", "processes", "connections", "survived", "writes lost", "images", "dump",
                "restore", "frozen", "of it lockstep", "longest pause of a client"});
  std::vector<std::vector<std::string>> parts;
  bool good = true;
  for (const Kind& kind : chosen) {
    good = measure(kind, parts) && good;
    clean_up();
  }
  std::printf("\n");
  print_header({"application", "members", "frozen", "CRIU: freezing", "memory", "the rest", "waits for others' CRIU",
                "lockstep: hooks", "lock", "barriers", "lockstep, at most"});
  for (const auto& row : parts) print_row(row);
  return good;
}

/// Cycles of one application for its turn.
bool turn(const Kind& kind, Clock::time_point end) {
  Scene scene(kind);
  int cycles = 0;
  Faults faults;
  do {
    faults = cycles % 2 == 0 ? scene.kill_and_restore() : scene.leave_running();
    ++cycles;
  } while (faults.empty() && Clock::now() < end);
  if (faults.empty()) faults = scene.finish();
  print(kind, faults);
  std::printf("%s: %d cycles, %llu acknowledged, %s\n", kind.title().c_str(), cycles,
              static_cast<unsigned long long>(scene.acknowledged()), faults.empty() ? "none lost" : "FAILED");
  std::fflush(stdout);
  return faults.empty();
}

bool soak(const std::vector<Kind>& chosen, std::chrono::seconds duration) {
  const auto end = Clock::now() + duration;
  const auto share = std::min<Clock::duration>(kSoakTurn, duration / static_cast<int>(chosen.size()));
  // Each application has its turn, however short the soak is.
  for (std::size_t next = 0; next < chosen.size() || Clock::now() < end; ++next) {
    if (!turn(chosen[next % chosen.size()], Clock::now() + share)) return false;
    clean_up();
  }
  return true;
}

int run(const Options& options) {
  (void)e2e::Reaper::instance();
  std::vector<Kind> chosen;
  for (const Kind& kind : kinds()) {
    if (options.applications.empty() || std::ranges::count(options.applications, kind.tag()) != 0)
      chosen.push_back(kind);
  }
  const bool good = options.soak == 0s ? table(chosen) : soak(chosen, options.soak);
  clean_up();
  return good ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::apps

int main(int argc, char** argv) {
  using namespace lockstep::apps;
  CLI::App program{"Checkpoints real applications: prints a table, or soaks"};
  Options options;
  std::uint64_t seconds = 0;
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) names.push_back(kind.tag());
  program.add_option("--application", options.applications, "only this one; may be given again")
      ->check(CLI::IsMember(names));
  program.add_option("--soak", seconds, "cycles back to back for so many seconds, instead of the table")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(program, argc, argv);
  options.soak = std::chrono::seconds(seconds);
  try {
    return in_own_namespaces([&options] { return run(options); });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-app-cycles: %s\n", error.what());
    return 1;
  }
}
