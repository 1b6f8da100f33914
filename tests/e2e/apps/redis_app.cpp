/// redis: a primary that writes an append-only file, a replica, and a client with 50 connections.
#include <sstream>
#include <stdexcept>

#include "tests/e2e/apps/application.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPrimary = 0, kReplica = 1, kClient = 2;
constexpr int kConnections = 50;

class Redis : public Application {
 public:
  using Application::Application;

  void start() override {
    pods().launch({.member = "primary", .pod = kPrimary, .command = server(kPrimary)});
    await_log("primary", "Ready to accept connections");
    std::vector<std::string> replica = server(kReplica);
    replica.insert(replica.end(), {"--replicaof", address(kPrimary) + " 6379"});
    pods().launch({.member = "replica", .pod = kReplica, .command = replica});
    await_log("replica", "MASTER <-> REPLICA sync: Finished with success");
    await_log("primary", "Synchronization with replica");
    launch_client("client", kClient, "redis", {address(kPrimary) + ":6379"}, kConnections, 20);
  }

  std::vector<Quiet> quiet() const override {
    return {{"primary",
             "Accepted |Client closed connection|[Cc]onnection with replica|resync|Synchronization|Replica .*asks"},
            {"replica", "Accepted |[Cc]onnection with master lost|MASTER <-> REPLICA|resync|Connecting to MASTER"},
            {"client", "failed"}};
  }

  Faults finish() override {
    Faults faults = end_client("client");
    const auto level = [this] { return replication_offset(kPrimary) == replication_offset(kReplica); };
    if (!e2e::wait_until(level, 30s)) faults.push_back("the replica does not catch up");
    for (const auto& [connection, acknowledged] : ledger("client").last()) {
      for (const std::size_t pod : {kPrimary, kReplica}) {
        add(faults, compare(pod == kPrimary ? "primary" : "replica", connection, acknowledged, list(pod, connection)));
      }
    }
    return faults;
  }

 private:
  std::vector<std::string> server(std::size_t pod) const {
    return {"redis-server",
            "--bind",
            address(pod),
            "--protected-mode",
            "no",
            "--daemonize",
            "no",
            "--loglevel",
            "verbose",
            "--appendonly",
            "yes",
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0"};
  }

  std::string cli(std::size_t pod, std::vector<std::string> words) {
    words.insert(words.begin(), {"redis-cli", "-h", address(pod)});
    return ask(pod, words);
  }

  std::string replication_offset(std::size_t pod) {
    const std::string info = cli(pod, {"INFO", "replication"});
    const auto at = info.find(pod == kPrimary ? "master_repl_offset:" : "slave_repl_offset:");
    if (at == std::string::npos) throw std::runtime_error("no offset in " + info);
    const auto colon = info.find(':', at);
    return info.substr(colon, info.find('\r', colon) - colon);
  }

  std::vector<std::uint32_t> list(std::size_t pod, std::uint32_t connection) {
    std::istringstream lines(cli(pod, {"LRANGE", "list:" + std::to_string(connection), "0", "-1"}));
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; lines >> number;) numbers.push_back(number);
    return numbers;
  }
};

}  // namespace

std::vector<std::string> redis_image() { return {"/usr/bin/redis-server", e2e::program("lockstep-app-client")}; }

std::unique_ptr<Application> make_redis_application(Pods& pods) { return std::make_unique<Redis>(pods); }

}  // namespace lockstep::apps
