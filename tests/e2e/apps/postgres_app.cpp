/// PostgreSQL: a primary, a synchronous standby, pgbench, and a client that notes each commit that was acknowledged.
#include <signal.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>

#include "tests/e2e/apps/application.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPrimary = 0, kStandby = 1, kBench = 2, kClient = 3;

/// The newest server's folder: Debian keeps its programs out of PATH.
std::filesystem::path installation() {
  std::vector<std::filesystem::path> found;
  std::error_code none;
  for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    if (std::filesystem::exists(version.path() / "bin/postgres")) found.push_back(version.path());
  }
  if (found.empty()) throw std::runtime_error("PostgreSQL's server is not installed: deploy/packages.sh apps");
  return *std::ranges::max_element(found);
}

std::string program_of(const std::string& name) { return installation() / "bin" / name; }

// Timeouts that look at the time of day see a restored server's absence, those of the monotonic clock don't.
constexpr auto kSettings = R"(
unix_socket_directories = ''
synchronous_standby_names = '*'
synchronous_commit = remote_apply
wal_sender_timeout = 5min
wal_receiver_timeout = 5min
max_connections = 30
shared_buffers = 32MB
log_connections = on
log_disconnections = on
log_replication_commands = on
)";

class Postgres : public Application {
 public:
  using Application::Application;

  void start() override {
    make_primary();
    make_standby();
    query(kPrimary, "CREATE TABLE committed (connection int, sequence int)");
    (void)as_postgres(kPrimary,
                      {program_of("pgbench"), "-h", address(kPrimary), "--initialize", "--quiet", "postgres"});
    pods().launch({.member = "bench",
                   .pod = kBench,
                   .command = {program_of("pgbench"), "-h", address(kPrimary), "-U", "postgres", "--no-vacuum",
                               "--client", "4", "--rate", "40", "--time", "100000", "--progress", "1", "postgres"}});
    await_log("bench", "progress: ");
    launch_client("client", kClient, "postgres", {address(kPrimary) + ":5432"}, 4, 10);
  }

  std::vector<Quiet> quiet() const override {
    const std::string lost =
        "terminat|could not|lost|unexpected|FATAL|PANIC|is now a synchronous|replication command|streaming WAL";
    return {{"primary", lost + "|connection (received|authorized)|disconnection"},
            {"standby", lost},
            {"bench", "error|abort|ERROR|FATAL|terminated"},
            {"client", "failed"}};
  }

  Faults finish() override {
    Faults faults = end_client("client");
    // pgbench has to have gone on as well.
    const std::string before = query(kPrimary, "SELECT count(*) FROM pgbench_history");
    if (!e2e::wait_until([&] { return query(kPrimary, "SELECT count(*) FROM pgbench_history") != before; }, 30s)) {
      faults.push_back("pgbench stands still");
    }
    ::kill(pods().pid("bench"),
           SIGKILL);  // SIGTERM does nothing to a container's first process, unless it has a handler
    const auto idle = [this] {
      return query(kPrimary, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'") == "0";
    };
    if (!e2e::wait_until(idle, 30s)) faults.push_back("pgbench does not end");
    const auto level = [this] {
      return query(kPrimary,
                   "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND replay_lsn >= "
                   "pg_current_wal_flush_lsn()") == "1";
    };
    if (!e2e::wait_until(level, 30s)) faults.push_back("the standby does not catch up");
    for (const std::size_t pod : {kPrimary, kStandby}) add(faults, compare_books(pod));
    return faults;
  }

 private:
  static std::string name(std::size_t pod) { return pod == kPrimary ? "primary" : "standby"; }

  std::string as_postgres(std::size_t pod, std::vector<std::string> command) {
    command.insert(command.begin(), {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"});
    return ask(pod, command);
  }

  std::string query(std::size_t pod, const std::string& sql) {
    std::string text = ask(pod, {"psql", "-h", address(pod), "-U", "postgres", "-qAtc", sql, "postgres"});
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  void make_primary() {
    make_folder(kPrimary);
    (void)as_postgres(kPrimary, {program_of("initdb"), "--pgdata", database(kPrimary), "--auth", "trust", "--no-sync",
                                 "--wal-segsize=1", "--locale=C", "--encoding=UTF8"});
    e2e::write_file(database(kPrimary) + "/postgresql.auto.conf", kSettings);
    e2e::write_file(database(kPrimary) + "/pg_hba.conf",
                    "host all all samenet trust\nhost replication all samenet trust\n");
    serve(kPrimary);
  }

  void make_standby() {
    make_folder(kStandby);
    (void)as_postgres(kStandby, {program_of("pg_basebackup"), "-h", address(kPrimary), "-U", "postgres", "-D",
                                 database(kStandby), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"});
    serve(kStandby);
    await_log("standby", "started streaming WAL");
    const auto synchronous = [this] {
      return query(kPrimary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1";
    };
    if (!e2e::wait_until(synchronous, 30s)) throw std::runtime_error("the standby does not get synchronous");
    await_log("primary", "is now a synchronous standby");
  }

  std::string database(std::size_t pod) const { return pods().data(name(pod)) / "database"; }

  void make_folder(std::size_t pod) const {
    std::filesystem::create_directories(pods().data(name(pod)));
    e2e::must_run({"chown", "postgres:", pods().data(name(pod))});
  }

  void serve(std::size_t pod) {
    pods().launch({.member = name(pod),
                   .pod = pod,
                   .command = {program_of("postgres"), "-D", database(pod), "-c", "listen_addresses=" + address(pod)},
                   .user = "postgres"});
    await_log(name(pod), pod == kPrimary ? "ready to accept connections" : "ready to accept read-only connections");
  }

  /// The client's rows, and that what pgbench moved between accounts, tellers, branches adds up.
  Faults compare_books(std::size_t pod) {
    std::istringstream rows(query(pod, "SELECT connection || ' ' || sequence FROM committed"));
    std::map<std::uint32_t, std::vector<std::uint32_t>> found;
    std::uint32_t connection = 0;
    std::uint32_t sequence = 0;
    while (rows >> connection >> sequence) found[connection].push_back(sequence);
    Faults faults;
    for (const auto& [number, acknowledged] : ledger("client").last()) {
      add(faults, compare(name(pod), number, acknowledged, found[number]));
    }
    const std::string sums =
        query(pod,
              "SELECT count(DISTINCT sum) FROM (SELECT sum(abalance) FROM pgbench_accounts UNION ALL "
              "SELECT sum(bbalance) FROM pgbench_branches UNION ALL SELECT sum(tbalance) FROM "
              "pgbench_tellers UNION ALL SELECT sum(delta) FROM pgbench_history) AS sums");
    if (sums != "1") faults.push_back(name(pod) + ": pgbench's books do not balance");
    return faults;
  }
};

}  // namespace

std::vector<std::string> postgres_image() {
  const auto folder = installation();
  // The database's folder is made by this machine's initdb, so that users and time zones have to be the same.
  return {program_of("postgres"),
          program_of("pgbench"),
          folder / "lib/libpqwalreceiver.so",
          folder / "lib/plpgsql.so",
          "/usr/share/postgresql" / folder.filename() / "timezonesets",
          "/usr/share/zoneinfo",
          "/etc/passwd",
          "/etc/group",
          e2e::program("lockstep-app-client")};
}

std::unique_ptr<Application> make_postgres_application(Pods& pods) { return std::make_unique<Postgres>(pods); }

}  // namespace lockstep::apps
