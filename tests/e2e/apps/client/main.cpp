/// lockstep-app-client: loads a real server with numbered writes, and keeps a ledger of those that were acknowledged.
/// Made to be dumped by CRIU, and to end with an error as soon as anything about a connection is not as it should be.
///
/// With --ask it says something to a server, and prints what comes back.
#include <poll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>

#include "tests/app/endpoint.hpp"
#include "tests/e2e/apps/client/load.hpp"

namespace lockstep::apps {
namespace {

using namespace std::chrono_literals;

volatile int g_stop = 0;

void on_terminate(int) { g_stop = 1; }

int load(const LoadOptions& options) {
  struct sigaction action {};
  action.sa_handler = on_terminate;
  ::sigaction(SIGTERM, &action, nullptr);
  Load load(options);
  std::printf("ready\n");
  std::fflush(stdout);
  std::printf("finished: %llu noted\n", static_cast<unsigned long long>(load.run(g_stop)));
  return 0;
}

/// Sends `text`, and prints what comes until it ends with `until`.
int ask(const std::string& to, const std::string& text, const std::string& until) {
  const auto socket = traffic::connect_to(to);
  if (!socket) throw std::runtime_error(socket.error().message());
  std::string rest = text;
  std::string answer;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!answer.ends_with(until)) {
    pollfd polled{socket->get(), static_cast<short>(POLLIN | (rest.empty() ? 0 : POLLOUT)), 0};
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("the answer does not end: " + answer.substr(0, 200));
    if (::poll(&polled, 1, 200) <= 0) continue;
    if (!rest.empty()) {
      const ssize_t sent = ::send(socket->get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) rest.erase(0, static_cast<std::size_t>(sent));
    }
    std::array<char, 65'536> buffer;
    const ssize_t received = ::recv(socket->get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received == 0) throw std::runtime_error("closed by the server after: " + answer.substr(0, 200));
    if (received > 0) answer.append(buffer.data(), static_cast<std::size_t>(received));
  }
  std::fwrite(answer.data(), 1, answer.size(), stdout);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App program{"Loads a server with numbered writes, and keeps a ledger of those that were acknowledged"};
  LoadOptions options;
  std::string text;
  std::string until;
  auto* ask_option = program.add_option("--ask", text, "say this, instead of loading it");
  program.add_option("--until", until, "how the answer ends")->needs(ask_option);
  program.add_option("--protocol", options.protocol, "redis, memcached, nats-publish, nats-subscribe, postgres");
  program.add_option("--to", options.to, "addresses, each with a port")->required();
  program.add_option("--connections", options.connections, "how many")->check(CLI::PositiveNumber);
  program.add_option("--rate", options.rate, "requests a second on each connection; 0: one after the other");
  program.add_option("--ledger", options.ledger, "the file for what was acknowledged");
  CLI11_PARSE(program, argc, argv);
  return *ask_option ? ask(options.to.front(), text, until) : load(options);
}

}  // namespace
}  // namespace lockstep::apps

int main(int argc, char** argv) {
  try {
    return lockstep::apps::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    return 1;
  }
}
