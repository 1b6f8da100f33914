#include "tests/e2e/apps/application.hpp"

#include <signal.h>

#include <stdexcept>

#include "tests/e2e/apps/container_pods.hpp"
#include "tests/e2e/apps/tree_pods.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr auto kStartLimit = 60s;
constexpr auto kEndLimit = 40s;

}  // namespace

void Application::launch_client(const std::string& member, std::size_t pod, const std::string& protocol,
                                const std::vector<std::string>& to, int connections, int rate) {
  const std::filesystem::path file = pods_.data(member) / "ledger";
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
  pods_.launch({.member = member, .pod = pod, .command = command});
  await_log(member, "ready");
}

Faults Application::end_client(const std::string& member) {
  const pid_t client = pods_.pid(member);
  ::kill(client, SIGTERM);
  if (!e2e::wait_until([&] { return !e2e::exists(client); }, kEndLimit)) return {member + " does not end"};
  // What it has said may take a moment to get into a container's log.
  std::string text;
  const auto finished = [&] {
    text = e2e::read_file(pods_.log(member));
    return text.find("finished: ") != std::string::npos;
  };
  if (!e2e::wait_until(finished, 2s) || text.find("failed") != std::string::npos) {
    return {member + " has ended with: " + text.substr(0, 500)};
  }
  Ledger& noted = ledger(member);
  noted.read();
  return noted.faults();
}

void Application::await_log(const std::string& member, const std::string& text) {
  const auto told = [&] { return e2e::read_file(pods_.log(member)).find(text) != std::string::npos; };
  const pid_t process = pods_.pid(member);
  (void)e2e::wait_until([&] { return told() || !e2e::exists(process); }, kStartLimit);
  if (told()) return;
  throw std::runtime_error(member + " does not say \"" + text + "\": " + pods_.start_failure(member) +
                           e2e::tail_of(pods_.log(member), 10));
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

std::unique_ptr<Pods> Kind::make_pods() const {
  if (in_containers()) return std::make_unique<ContainerPods>(pods, image());
  return std::make_unique<TreePods>(pods);
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{{"redis", 3, make_redis_application},
                                     {"redis", 3, make_redis_application, redis_image},
                                     {"memcached", 2, make_memcached_application},
                                     {"nats", 5, make_nats_application},
                                     {"postgres", 4, make_postgres_application},
                                     {"postgres", 4, make_postgres_application, postgres_image},
                                     {"mpi", 2, make_mpi_application}};
  return all;
}

}  // namespace lockstep::apps
