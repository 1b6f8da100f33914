/// memcached: a server with its worker threads, and a client with 20 connections.
#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "tests/e2e/apps/application.hpp"
#include "tests/e2e/apps/client/memcached_keys.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

constexpr std::size_t kServer = 0, kClient = 1;
constexpr int kConnections = 20;

class Memcached : public Application {
 public:
  using Application::Application;

  void start() override {
    pods().launch({.member = "server",
                   .pod = kServer,
                   .command = {"memcached", "-v", "-u", "root", "-l", address(kServer), "-U", "0", "-m", "256"}});
    if (!e2e::wait_until([this] { return say("version\r\n", "\r\n").exit_code == 0; }, std::chrono::seconds(30))) {
      throw std::runtime_error("memcached does not answer: " + e2e::tail_of(pods().log("server"), 5));
    }
    launch_client("client", kClient, "memcached", {server_address()}, kConnections, 25);
    accepted_ = stat("total_connections");
  }

  std::vector<Quiet> quiet() const override { return {{"server", "."}, {"client", "failed"}}; }

  Faults finish() override {
    Faults faults;
    // It logs no connections, but counts them: one came since, to ask.
    if (const auto now = stat("total_connections"); now != accepted_ + 1) {
      faults.push_back("memcached has accepted " + std::to_string(now - accepted_ - 1) + " more connections");
    }
    add(faults, end_client("client"));
    for (const auto& [connection, acknowledged] : ledger("client").last()) {
      add(faults, compare("server", connection, acknowledged, items(connection, acknowledged)));
    }
    if (const auto evicted = stat("evictions"); evicted != 0) faults.push_back("memcached has thrown items away");
    return faults;
  }

 private:
  [[nodiscard]] std::string server_address() const { return address(kServer) + ":11211"; }

  e2e::CommandResult say(const std::string& text, const std::string& until) {
    return pods().run(kServer,
                      {e2e::program("lockstep-app-client"), "--to", server_address(), "--ask", text, "--until", until});
  }

  long stat(const std::string& name) {
    const std::string stats = say("stats\r\n", "END\r\n").out;
    const auto at = stats.find("STAT " + name + " ");
    if (at == std::string::npos) throw std::runtime_error("memcached tells no " + name + ": " + stats);
    return std::stol(stats.substr(at + name.size() + 6));
  }

  std::vector<std::uint32_t> items(std::uint32_t connection, std::uint32_t acknowledged) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t first = 1; first <= acknowledged; first += kItemsPerKey) {
      const std::string answer = say("get " + memcached_key(connection, first) + "\r\n", "END\r\n").out;
      std::istringstream words(answer.substr(std::min(answer.find("\r\n"), answer.size())));
      for (std::uint32_t number = 0; words >> number;) numbers.push_back(number);
    }
    return numbers;
  }

  long accepted_ = 0;
};

}  // namespace

std::unique_ptr<Application> make_memcached_application(Pods& pods) { return std::make_unique<Memcached>(pods); }

}  // namespace lockstep::apps
