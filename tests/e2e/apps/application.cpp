#include "tests/e2e/apps/application.hpp"

#include <signal.h>

#include <stdexcept>

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr auto kStartLimit = 60s;
constexpr auto kEndLimit = 40s;

// The descriptors are opened again with the pod's mounts: CRIU looks for each file where the process stands.
constexpr auto kEnter = R"(cd "$1" && exec </dev/null >>"$2" 2>&1 && shift 2 && exec "$@")";

}  // namespace

std::filesystem::path Application::data(const std::string& member) const {
  return pods_.cluster().dir() / "data" / member;
}

pid_t Application::pid(const std::string& member) const {
  return std::stoi(e2e::read_file(pods_.cluster().dir() / (member + ".pid")));
}

void Application::launch(const Launch& launch) {
  std::filesystem::create_directories(data(launch.member));
  std::vector<std::string> command = pods_.with_mounts(launch.pod);
  command.insert(command.end(), {"sh", "-c", kEnter, "sh", data(launch.member), log(launch.member)});
  // System V shared memory and semaphores belong to the tree then, and are saved with it.
  command.insert(command.end(), {"unshare", "--ipc"});
  if (!launch.user.empty()) {
    e2e::must_run({"chown", launch.user + ":", data(launch.member)});
    command.insert(command.end(), {"setpriv", "--reuid=" + launch.user, "--regid=" + launch.user, "--init-groups"});
  }
  command.insert(command.end(), launch.command.begin(), launch.command.end());
  processes_.push_back(e2e::Process::start({.command = command,
                                            .log = data(launch.member) / "start.log",
                                            .netns = pods_.netns(launch.pod),
                                            .dies_with_test = false}));
  members_.push_back({launch.member, launch.pod});
  e2e::write_file(pods_.cluster().dir() / (launch.member + ".pid"), std::to_string(processes_.back().pid()) + "\n");
}

void Application::launch_client(const std::string& member, std::size_t pod, const std::string& protocol,
                                const std::vector<std::string>& to, int connections, int rate) {
  const std::filesystem::path file = data(member) / "ledger";
  std::vector<std::string> command{e2e::program("lockstep-app-client"),
                                   "--protocol",
                                   protocol,
                                   "--ledger",
                                   file,
                                   "--connections",
                                   std::to_string(connections),
                                   "--rate",
                                   std::to_string(rate)};
  for (const std::string& address : to) command.insert(command.end(), {"--to", address});
  add_ledger(member, file);
  launch({.member = member, .pod = pod, .command = command});
  await_log(member, "ready");
}

Faults Application::end_client(const std::string& member) {
  const pid_t client = pid(member);
  ::kill(client, SIGTERM);
  if (!e2e::wait_until([&] { return !e2e::exists(client); }, kEndLimit)) return {member + " does not end"};
  const std::string text = e2e::read_file(log(member));
  if (text.find("finished: ") == std::string::npos || text.find("failed") != std::string::npos) {
    return {member + " has ended with: " + text.substr(0, 500)};
  }
  Ledger& noted = ledger(member);
  noted.read();
  return noted.faults();
}

void Application::await_log(const std::string& member, const std::string& text) {
  const auto told = [&] { return e2e::read_file(log(member)).find(text) != std::string::npos; };
  const pid_t process = pid(member);
  (void)e2e::wait_until([&] { return told() || !e2e::exists(process); }, kStartLimit);
  if (told()) return;
  throw std::runtime_error(member + " does not say \"" + text + "\": " + e2e::tail_of(data(member) / "start.log", 5) +
                           e2e::tail_of(log(member), 10));
}

std::string Application::ask(std::size_t pod, const std::vector<std::string>& command) {
  const e2e::CommandResult result = pods_.run(pod, command);
  if (result.exit_code == 0) return result.out;
  throw std::runtime_error(command.front() + " fails with " + std::to_string(result.exit_code) + ": " + result.err +
                           result.out);
}

Ledger& Application::ledger(const std::string& name) {
  for (Ledger& each : ledgers_) {
    if (each.name() == name) return each;
  }
  throw std::runtime_error("there is no ledger of " + name);
}

Ledger& Application::add_ledger(const std::string& name, const std::filesystem::path& file) {
  return ledgers_.emplace_back(name, file);
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{{"redis", 3, make_redis_application},
                                     {"memcached", 2, make_memcached_application},
                                     {"nats", 5, make_nats_application},
                                     {"postgres", 4, make_postgres_application},
                                     {"mpi", 2, make_mpi_application}};
  return all;
}

}  // namespace lockstep::apps
