/// lockstep-bench-hook: what one call of the hook costs CRIU, as a whole process, through a real agent and a real
/// broker; beside /bin/true. Needs root: the dummy tree that the calls are about lives in a network namespace of its
/// own.
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/bench/broker_process.hpp"
#include "tests/bench/client.hpp"
#include "tests/bench/peak_memory.hpp"
#include "tests/bench/samples.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::bench;

const MemberId kMember("tree");

struct Options {
  int calls = 300;
  bool json = false;
};

/// A broker, a node agent, and a process in a pod that a round is about.
class Stage {
 public:
  Stage()
      : agent_(Child::start({neighbour("lockstep-agent"), "--node", "--config", agent_config()},
                            (dir_ / "agent.log").string())),
        tree_(Child::fork([] {
          if (::unshare(CLONE_NEWNET) != 0) ::_exit(1);
          while (true) ::pause();
        })),
        client_(broker_.router_port()) {
    std::filesystem::create_directory(dir_ / "images");
    wait_until("the agent",
               [this] { return !std::get<BrokerStatus>(client_.ask({}, GetStatus{}).body).agents.empty(); });
    wait_until("the pod", [this] { return namespace_of(tree_.pid()) != namespace_of(::getpid()); });
  }

  /// Puts a fresh round in the place of the one before.
  void open_round() {
    if (!round_.empty()) client_.ask(round_, AbortRound{"the next one comes"});
    round_ = client_.open_round({{kMember, {}, {}, {}}});
  }

  /// A call as CRIU makes it.
  [[nodiscard]] Command hook() const {
    return Command(neighbour("lockstep-hook"), {{"CRTOOLS_SCRIPT_ACTION", "pre-dump"},
                                                {"CRTOOLS_IMAGE_DIR", (dir_ / "images").string()},
                                                {"CRTOOLS_INIT_PID", std::to_string(tree_.pid())},
                                                {"LOCKSTEP_ROUND", round_.value},
                                                {"LOCKSTEP_GROUP", kBenchGroup.value},
                                                {"LOCKSTEP_MEMBER", kMember.value},
                                                {"LOCKSTEP_SOCKET_DIR", socket_dir()}});
  }

  [[nodiscard]] std::string logs() const { return e2e::tail_of(dir_ / "agent.log", 5) + broker_.log_tail(); }

 private:
  [[nodiscard]] std::string socket_dir() const { return (dir_ / "run").string(); }

  [[nodiscard]] std::string agent_config() const {
    const auto endpoint = [](std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); };
    e2e::write_file(dir_ / "agent.yaml", "broker: " + endpoint(broker_.router_port()) +
                                             "\nreleases: " + endpoint(broker_.publisher_port()) +
                                             "\nsocket_dir: " + socket_dir() + "\n");
    return (dir_ / "agent.yaml").string();
  }

  static std::filesystem::path namespace_of(pid_t pid) {
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/net");
  }

  template <class Condition>
  void wait_until(const std::string& what, const Condition& condition) const {
    const TimePoint until = Clock::now() + seconds(10);
    while (!condition()) {
      if (Clock::now() > until) throw std::runtime_error("waited in vain for " + what + "\n" + logs());
      std::this_thread::sleep_for(milliseconds(5));
    }
  }

  e2e::TempDir dir_;
  BrokerProcess broker_;
  Child agent_;
  Child tree_;
  Client client_;
  RoundId round_;
};

struct Results {
  Samples nothing;   ///< /bin/true
  Samples repeated;  ///< a call whose barrier has been released before
  Samples fresh;     ///< the first call in a round: event, order, ready, release
  long hook_peak_kib = 0;
  long nothing_peak_kib = 0;
};

Duration call(Command& command) {
  const RunCost cost = command.run();
  if (cost.exit_code != 0) throw std::runtime_error(command.path() + " ended with " + std::to_string(cost.exit_code));
  return cost.wall;
}

Results measure(Stage& stage, int calls) {
  Results results;
  Command nothing("/bin/true", {});
  for (int i = -10; i < calls; ++i) {
    stage.open_round();
    Command hook = stage.hook();
    const Duration fresh = call(hook);
    const Duration idle = call(nothing);
    const Duration repeated = call(hook);
    if (i < 0) continue;  // the first ones pay for cold caches
    results.fresh.add(fresh);
    results.nothing.add(idle);
    results.repeated.add(repeated);
  }
  Command hook = stage.hook();
  results.hook_peak_kib = peak_memory_kib(hook);
  results.nothing_peak_kib = peak_memory_kib(nothing);
  return results;
}

void print_text(const Results& results) {
  const double floor = results.nothing.median();
  std::printf("One call of a program, posix_spawn to wait, ms     median     min     max    ratio   peak memory\n");
  const auto line = [&](const char* what, const Samples& samples, long peak_kib) {
    std::printf("%-48s  %7.2f %7.2f %7.2f  %7.2f   %6.2f MiB\n", what, samples.median(), samples.min(), samples.max(),
                samples.median() / floor, static_cast<double>(peak_kib) / 1024);
  };
  line("/bin/true", results.nothing, results.nothing_peak_kib);
  line("lockstep-hook, released before (asks the broker)", results.repeated, results.hook_peak_kib);
  line("lockstep-hook, first in a round (the whole way)", results.fresh, results.hook_peak_kib);
}

void print_json(const Results& results) {
  const nlohmann::json json{{"hook",
                             {{"true", results.nothing.json()},
                              {"repeated", results.repeated.json()},
                              {"fresh", results.fresh.json()},
                              {"peak_kib", results.hook_peak_kib},
                              {"true_peak_kib", results.nothing_peak_kib}}}};
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures calls of lockstep-hook through a real agent and a real broker, which have to lie beside this "
      "program. Needs root.",
      "lockstep-bench-hook");
  Options options;
  app.add_option("--calls", options.calls, "Measured calls of each kind")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "JSON instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    Stage stage;
    try {
      const Results results = measure(stage, options.calls);
      options.json ? print_json(results) : print_text(results);
    } catch (const std::exception& error) {
      throw std::runtime_error(std::string(error.what()) + "\n" + stage.logs());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep-bench-hook: %s\n", error.what());
    return 1;
  }
  return 0;
}
