#include "tests/app/status_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lockstep::traffic {
namespace {

using nlohmann::ordered_json;

const char* to_string(Connection::State state) {
  switch (state) {
    case Connection::State::open: return "open";
    case Connection::State::finished: return "finished";
    case Connection::State::failed: return "failed";
  }
  return "";
}

struct Totals {
  std::uint64_t sent = 0, open = 0, finished = 0, failed = 0;
  StreamCounters stream;
  Clock::duration longest_pause{};
};

Totals sum_of(const std::vector<std::unique_ptr<Connection>>& connections) {
  Totals totals;
  for (const auto& connection : connections) {
    const StreamCounters& counters = connection->counters();
    totals.sent += connection->sent();
    totals.stream.received += counters.received;
    totals.stream.lost += counters.lost;
    totals.stream.doubled += counters.doubled;
    totals.stream.out_of_order += counters.out_of_order;
    totals.stream.corrupt += counters.corrupt;
    totals.longest_pause = std::max(totals.longest_pause, connection->longest_pause());
    switch (connection->state()) {
      case Connection::State::open: ++totals.open; break;
      case Connection::State::finished: ++totals.finished; break;
      case Connection::State::failed: ++totals.failed; break;
    }
  }
  return totals;
}

ordered_json counters_json(std::uint64_t sent, const StreamCounters& counters, Clock::duration longest_pause) {
  return {{"sent", sent},
          {"received", counters.received},
          {"lost", counters.lost},
          {"doubled", counters.doubled},
          {"out_of_order", counters.out_of_order},
          {"corrupt", counters.corrupt},
          {"longest_pause_us", std::chrono::duration_cast<std::chrono::microseconds>(longest_pause).count()}};
}

}  // namespace

bool healthy(const std::vector<std::unique_ptr<Connection>>& connections) {
  return std::ranges::all_of(connections, [](const auto& connection) { return connection->healthy(); });
}

Result<StatusFile> StatusFile::create(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail_errno("open " + path);
  if (::ftruncate(file.get(), static_cast<off_t>(kBytes)) != 0) return fail_errno("ftruncate " + path);
  return StatusFile(std::move(file));
}

void StatusFile::write(Side side, const std::vector<std::unique_ptr<Connection>>& connections) {
  const Totals totals = sum_of(connections);
  ++report_;
  ordered_json status = {
      {"report", report_},       {"role", side == Side::server ? "server" : "client"},
      {"pid", ::getpid()},       {"healthy", healthy(connections)},
      {"open", totals.open},     {"finished", totals.finished},
      {"failed", totals.failed}, {"totals", counters_json(totals.sent, totals.stream, totals.longest_pause)}};
  ordered_json list = ordered_json::array();
  for (std::size_t at = 0; at < std::min(connections.size(), kMaxListed); ++at) {
    const Connection& connection = *connections[at];
    ordered_json entry = {{"number", connection.number()},
                          {"local", connection.local()},
                          {"peer", connection.peer()},
                          {"state", to_string(connection.state())}};
    entry.update(counters_json(connection.sent(), connection.counters(), connection.longest_pause()));
    if (!connection.error().empty()) entry["error"] = connection.error();
    list.push_back(std::move(entry));
  }
  status["connections"] = std::move(list);
  status["report_end"] = report_;

  std::string text = status.dump();
  text.resize(kBytes - 1, ' ');
  text += '\n';
  // A short or failed write shows as a report that never gets whole; there is nobody to tell it to here.
  [[maybe_unused]] const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
}

}  // namespace lockstep::traffic
