/// lockstep-traffic-check: waits until lockstep-traffic flows on every connection, or is over, and tells the verdict.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>
#include <thread>

#include "tests/app/check.hpp"

namespace lockstep::traffic {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string server;
  std::vector<std::string> clients;
  std::size_t expected = 1;
  std::uint64_t messages = 3000;
  double wait_s = 10;
  bool finished = false;
  bool quiet = false;
  std::string remember, recall;
};

/// The connections' names, a line each: what must still be there after a restore.
std::set<std::string> names_of(const Snapshot& snapshot) {
  std::set<std::string> names;
  for (const Report& client : snapshot.clients) {
    for (const auto& end : client.connections) names.insert(end.local + " " + end.peer);
  }
  return names;
}

std::vector<std::string> compare_with_file(const Snapshot& now, const std::string& path) {
  std::ifstream file(path);
  if (!file) return {"can't read " + path};
  std::set<std::string> before;
  for (std::string line; std::getline(file, line);) before.insert(line);
  if (before == names_of(now)) return {};
  return {"the connections are not the same ones as before"};
}

/// Runs until nothing is missing any more, something is wrong for good, or the time is up.
Result<std::vector<std::string>> wait_and_judge(const Options& options, Snapshot& now) {
  const auto limit = Clock::now() + std::chrono::duration<double>(options.wait_s);
  const auto first = take_snapshot(options.server, options.clients);
  if (!first) return tl::unexpected(first.error());
  while (true) {
    auto snapshot = take_snapshot(options.server, options.clients);
    if (!snapshot) return tl::unexpected(snapshot.error());
    now = std::move(*snapshot);
    auto missing = options.finished ? unfinished(now) : stalled_since(*first, now, options.messages);
    const auto faults = faults_of(now, options.expected);
    const bool broken =
        now.server.failed != 0 || std::ranges::any_of(now.clients, [](auto& c) { return c.failed != 0; });
    if ((missing.empty() && faults.empty()) || broken || Clock::now() > limit) {
      missing.insert(missing.begin(), faults.begin(), faults.end());
      return missing;
    }
    std::this_thread::sleep_for(20ms);
  }
}

Result<int> run(const Options& options) {
  Snapshot now;
  auto judged = wait_and_judge(options, now);
  if (!judged) return tl::unexpected(judged.error());
  std::vector<std::string> faults = std::move(*judged);
  if (!options.recall.empty()) {
    const auto changed = compare_with_file(now, options.recall);
    faults.insert(faults.end(), changed.begin(), changed.end());
  }
  if (!options.remember.empty()) {
    std::ofstream file(options.remember);
    for (const std::string& name : names_of(now)) file << name << '\n';
  }
  if (!options.quiet) std::cout << table_of(now);
  for (const std::string& fault : faults) std::cout << "  fault: " << fault << '\n';
  return faults.empty() ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::traffic

int main(int argc, char** argv) {
  using namespace lockstep::traffic;
  Options options;
  CLI::App app(
      "Tells whether lockstep-traffic's messages all arrive, once and in order. Exit code: 0 yes, 1 no, 2 can't tell.");
  app.add_option("--server", options.server, "the server's status file")->required();
  app.add_option("--client", options.clients, "a client's status file; may be repeated")->required();
  app.add_option("--expect", options.expected, "how many connections there must be")->required();
  app.add_option("--messages", options.messages, "how many messages each end must receive from now on");
  app.add_option("--wait", options.wait_s, "seconds to wait for that");
  app.add_flag("--finished", options.finished,
               "both ends have left: compare what was sent and received to the last message");
  app.add_option("--remember", options.remember, "write the connections' addresses to this file");
  app.add_option("--recall", options.recall, "they must be the ones in this file");
  app.add_flag("--quiet", options.quiet, "print faults only");
  CLI11_PARSE(app, argc, argv);
  const auto code = run(options);
  if (!code) {
    std::fprintf(stderr, "lockstep-traffic-check: %s\n", code.error().message().c_str());
    return 2;
  }
  return *code;
}
