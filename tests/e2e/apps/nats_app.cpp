/// NATS: a cluster of three servers, a publisher with connections to all of them, and a subscriber at the last one.
#include <algorithm>
#include <stdexcept>

#include "tests/e2e/apps/application.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kServers = 3, kPublisher = 3, kSubscriber = 4;
constexpr int kConnections = 9;

class Nats : public Application {
 public:
  using Application::Application;

  void start() override {
    std::vector<std::string> clients;
    for (std::size_t server = 0; server < kServers; ++server) {
      pods().launch({.member = name(server), .pod = server, .command = command(server)});
      await_log(name(server), "Server is ready");
      clients.push_back(address(server) + ":4222");
    }
    if (!e2e::wait_until([this] { return routes() == 2 * kServers; }, 60s)) {
      throw std::runtime_error("the NATS servers do not find one another");
    }
    launch_client("subscriber", kSubscriber, "nats-subscribe", {clients.back()}, 1, 0);
    // A server passes messages on once it has heard of the subscription.
    launch_client("publisher", kPublisher, "nats-publish", clients, kConnections, 30);
  }

  std::vector<Quiet> quiet() const override {
    std::vector<Quiet> all{{"publisher", "failed"}, {"subscriber", "failed"}};
    for (std::size_t server = 0; server < kServers; ++server) {
      all.push_back({name(server), "onnection c(reated|losed)|Slow Consumer|Stale|\\[ERR\\]|Attempting reconnect"});
    }
    return all;
  }

  Faults finish() override {
    Faults faults = end_client("publisher");
    Ledger& received = ledger("subscriber");
    const Ledger& published = ledger("publisher");
    const auto all_there = [&] {
      received.read();
      return received.last() == published.last();
    };
    if (!e2e::wait_until(all_there, 30s)) faults.push_back("not all messages reach the subscriber");
    add(faults, end_client("subscriber"));
    // Each arrived once and in order, or its ledger would have had a fault; the last ones are the same.
    if (received.entries() != published.entries()) {
      faults.push_back(std::to_string(published.entries()) + " messages were acknowledged, " +
                       std::to_string(received.entries()) + " received");
    }
    return faults;
  }

 private:
  static std::string name(std::size_t server) { return "server" + std::to_string(server); }

  /// The others only know the first server, which tells each of them of the next: if every server was told of all, two
  /// would greet one another at once, and drop and make routes for some time.
  std::vector<std::string> command(std::size_t server) const {
    std::vector<std::string> words{"nats-server", "--addr",    address(server),
                                   "--port",      "4222",      "--cluster_name",
                                   "numbers",     "--cluster", "nats://" + address(server) + ":6222",
                                   "--debug"};
    if (server != 0) words.insert(words.end(), {"--routes", "nats://" + address(0) + ":6222"});
    return words;
  }

  /// Ends of routes, in all pods.
  std::size_t routes() {
    std::size_t count = 0;
    for (std::size_t server = 0; server < kServers; ++server) {
      const std::string lines = ask(server, {"ss", "-Htn", "state", "established", "sport = :6222 or dport = :6222"});
      count += static_cast<std::size_t>(std::ranges::count(lines, '\n'));
    }
    return count;
  }
};

}  // namespace

std::unique_ptr<Application> make_nats_application(Pods& pods) { return std::make_unique<Nats>(pods); }

}  // namespace lockstep::apps
