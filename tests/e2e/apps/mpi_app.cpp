/// Open MPI: mpirun with rank 0 in one pod, Open MPI's daemon with rank 1 in the other.
#include <algorithm>
#include <stdexcept>

#include "tests/e2e/apps/application.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFirst = 0, kSecond = 1;

class Mpi : public Application {
 public:
  using Application::Application;

  void start() override {
    const auto folder = job();
    std::filesystem::create_directories(folder);
    e2e::must_run({"mpicc", "-O1", "-o", folder / "ring", LOCKSTEP_APPS_SOURCE "/ring.c"});
    // mpirun would start its daemon through ssh, as a child of its own. This only writes down what to start.
    const auto remote = folder / "remote";
    e2e::write_file(folder / "agent", "#!/bin/sh\nshift\nprintf '%s\\n' \"$*\" >" + remote.string() + ".part\nmv " +
                                          remote.string() + ".part " + remote.string() + "\n");
    std::filesystem::permissions(folder / "agent", std::filesystem::perms(0755));
    for (const char* rank : {"rank0", "rank1"}) add_ledger(rank, folder / (std::string(rank) + ".ledger"));

    pods().launch({.member = "mpirun", .pod = kFirst, .command = command(folder)});
    if (!e2e::wait_until([&] { return std::filesystem::exists(remote); }, 60s)) {
      throw std::runtime_error("mpirun starts no daemon: " + e2e::tail_of(pods().log("mpirun"), 10));
    }
    pods().launch({.member = "daemon", .pod = kSecond, .command = {"sh", "-c", "exec " + e2e::read_file(remote)}});
    const auto both_work = [this] {
      for (Ledger& each : ledgers()) each.read();
      return std::ranges::all_of(ledgers(), [](const Ledger& each) { return each.entries() > 0; });
    };
    if (!e2e::wait_until(both_work, 60s)) {
      throw std::runtime_error("the job does not run: " + e2e::tail_of(pods().log("mpirun"), 10) +
                               e2e::tail_of(pods().log("daemon"), 10));
    }
  }

  std::vector<Quiet> quiet() const override { return {{"mpirun", "."}, {"daemon", "."}}; }

  Faults finish() override {
    const pid_t mpirun = pods().pid("mpirun");
    e2e::write_file(job() / "stop", "");
    Faults faults;
    if (!e2e::wait_until([&] { return !e2e::exists(mpirun); }, 60s)) faults.push_back("the job does not end");
    const std::string said = e2e::read_file(pods().log("mpirun"));
    if (!said.starts_with("finished: ")) faults.push_back("mpirun says: " + said.substr(0, 500));
    for (Ledger& each : ledgers()) {
      each.read();
      add(faults, each.faults());
    }
    if (ledger("rank0").entries() != ledger("rank1").entries()) faults.push_back("the ranks saw different rounds");
    return faults;
  }

 private:
  /// Both ranks' files are in the first member's folder.
  [[nodiscard]] std::filesystem::path job() const { return pods().data("mpirun") / "job"; }

  std::vector<std::string> command(const std::filesystem::path& folder) const {
    const std::string net = "10.78.0.0/24";
    return {"mpirun",
            "--allow-run-as-root",
            "--leave-session-attached",
            "--host",
            address(kFirst) + ":1," + address(kSecond) + ":1",
            "-n",
            "2",
            "--map-by",
            "node",
            "--bind-to",
            "none",
            "--mca",
            "plm_rsh_agent",
            folder / "agent",
            "--mca",
            "oob_tcp_if_include",
            net,
            "--mca",
            "btl_tcp_if_include",
            net,
            "--mca",
            "pml",
            "ob1",
            "--mca",
            "btl",
            "tcp,self",
            "--mca",
            "mpi_yield_when_idle",
            "1",
            "--mca",
            "orte_tmpdir_base",
            folder,
            folder / "ring",
            folder};
  }
};

}  // namespace

std::unique_ptr<Application> make_mpi_application(Pods& pods) { return std::make_unique<Mpi>(pods); }

}  // namespace lockstep::apps
