#include "tests/app/check.hpp"

#include <array>
#include <cstdio>
#include <map>

namespace lockstep::traffic {
namespace {

/// Both ends of a connection; the client's view names it.
struct Pair {
  const ConnectionReport* client = nullptr;
  const ConnectionReport* server = nullptr;
};

std::string name_of(const std::string& from, const std::string& to) { return from + " -> " + to; }

std::map<std::string, Pair> pairs_of(const Snapshot& snapshot) {
  std::map<std::string, Pair> pairs;
  for (const Report& client : snapshot.clients) {
    for (const auto& end : client.connections) pairs[name_of(end.local, end.peer)].client = &end;
  }
  for (const auto& end : snapshot.server.connections) pairs[name_of(end.peer, end.local)].server = &end;
  return pairs;
}

void add_faults_of_end(std::vector<std::string>& faults, const std::string& name, const char* side,
                       const ConnectionReport& end) {
  const std::string where = name + " (" + side + "'s end): ";
  if (end.state == "failed") faults.push_back(where + end.error);
  const std::array<std::pair<std::uint64_t, const char*>, 4> counts{
      {{end.lost, "lost"}, {end.doubled, "doubled"}, {end.out_of_order, "out of order"}, {end.corrupt, "corrupt"}}};
  for (const auto& [count, what] : counts) {
    if (count != 0) faults.push_back(where + std::to_string(count) + " messages " + what);
  }
}

}  // namespace

Result<Snapshot> take_snapshot(const std::string& server, const std::vector<std::string>& clients) {
  Snapshot snapshot;
  auto report = read_report(server);
  if (!report) return tl::unexpected(report.error());
  snapshot.server = std::move(*report);
  for (const std::string& client : clients) {
    report = read_report(client);
    if (!report) return tl::unexpected(report.error());
    snapshot.clients.push_back(std::move(*report));
  }
  return snapshot;
}

std::vector<std::string> faults_of(const Snapshot& now, std::size_t expected) {
  std::vector<std::string> faults;
  const auto pairs = pairs_of(now);
  if (pairs.size() < expected) {
    faults.push_back(std::to_string(pairs.size()) + " connections, expected " + std::to_string(expected));
  }
  for (const auto& [name, pair] : pairs) {
    if (pair.client == nullptr) faults.push_back(name + ": only the server knows it");
    if (pair.server == nullptr) faults.push_back(name + ": only the client knows it");
    if (pair.client != nullptr) add_faults_of_end(faults, name, "client", *pair.client);
    if (pair.server != nullptr) add_faults_of_end(faults, name, "server", *pair.server);
  }
  if (faults.empty() && !now.server.healthy) faults.emplace_back("the server says it is not healthy");
  for (const Report& client : now.clients) {
    if (faults.empty() && !client.healthy) faults.emplace_back("a client says it is not healthy");
  }
  return faults;
}

std::vector<std::string> stalled_since(const Snapshot& before, const Snapshot& now, std::uint64_t messages) {
  std::vector<std::string> stalled;
  const auto old_pairs = pairs_of(before);
  const auto new_pairs = pairs_of(now);
  for (const auto& [name, old_pair] : old_pairs) {
    const auto found = new_pairs.find(name);
    const auto moved = [messages](const ConnectionReport* from, const ConnectionReport* to) {
      // An end may not have told of the connection yet when `before` was taken.
      const std::uint64_t already = from != nullptr ? from->received : 0;
      return to != nullptr && to->received >= already + messages;
    };
    if (found == new_pairs.end()) {
      stalled.push_back(name + ": is gone");
    } else if (!moved(old_pair.client, found->second.client)) {
      stalled.push_back(name + ": the client receives nothing any more");
    } else if (!moved(old_pair.server, found->second.server)) {
      stalled.push_back(name + ": the server receives nothing any more");
    }
  }
  return stalled;
}

std::vector<std::string> unfinished(const Snapshot& now) {
  std::vector<std::string> faults;
  for (const auto& [name, pair] : pairs_of(now)) {
    if (pair.client == nullptr || pair.server == nullptr) continue;  // faults_of() tells
    if (pair.client->state != "finished" || pair.server->state != "finished") {
      faults.push_back(name + ": client's end " + pair.client->state + ", server's end " + pair.server->state);
    } else if (pair.client->sent != pair.server->received || pair.server->sent != pair.client->received) {
      faults.push_back(name + ": " + std::to_string(pair.client->sent) + " sent and " +
                       std::to_string(pair.server->received) + " received to the server, " +
                       std::to_string(pair.server->sent) + " and " + std::to_string(pair.client->received) +
                       " to the client");
    }
  }
  return faults;
}

std::string table_of(const Snapshot& now) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), "  %-47s %12s %12s %5s %8s %7s %8s  %s\n", "connection", "to server",
                "to client", "lost", "doubled", "order", "corrupt", "state");
  std::string table = line.data();
  for (const auto& [name, pair] : pairs_of(now)) {
    if (pair.client == nullptr || pair.server == nullptr) continue;
    const ConnectionReport& c = *pair.client;
    const ConnectionReport& s = *pair.server;
    std::snprintf(line.data(), line.size(), "  %-47s %12llu %12llu %5llu %8llu %7llu %8llu  %s\n", name.c_str(),
                  static_cast<unsigned long long>(s.received), static_cast<unsigned long long>(c.received),
                  static_cast<unsigned long long>(c.lost + s.lost),
                  static_cast<unsigned long long>(c.doubled + s.doubled),
                  static_cast<unsigned long long>(c.out_of_order + s.out_of_order),
                  static_cast<unsigned long long>(c.corrupt + s.corrupt), c.state.c_str());
    table += line.data();
  }
  return table;
}

}  // namespace lockstep::traffic
