#include "tests/app/report.hpp"

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace lockstep::traffic {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

/// "[::ffff:10.0.0.1]:80" is "10.0.0.1:80" seen through a socket for both families.
std::string unmapped(const std::string& address) {
  const std::string prefix = "[::ffff:";
  const auto bracket = address.find(']');
  if (!address.starts_with(prefix) || bracket == std::string::npos) return address;
  const std::string host = address.substr(prefix.size(), bracket - prefix.size());
  return host.find('.') == std::string::npos ? address : host + address.substr(bracket + 1);
}

template <class Into>
void read_counters(const json& from, Into& into) {
  into.sent = from.at("sent");
  into.received = from.at("received");
  into.lost = from.at("lost");
  into.doubled = from.at("doubled");
  into.out_of_order = from.at("out_of_order");
  into.corrupt = from.at("corrupt");
  into.longest_pause_us = from.at("longest_pause_us");
}

/// Throws what nlohmann throws where the text is no report.
Report parse(const json& status) {
  Report report;
  report.number = status.at("report");
  report.role = status.at("role");
  report.pid = status.at("pid");
  report.healthy = status.at("healthy");
  report.open = status.at("open");
  report.finished = status.at("finished");
  report.failed = status.at("failed");
  read_counters(status.at("totals"), report);
  for (const json& entry : status.at("connections")) {
    ConnectionReport connection;
    connection.number = entry.at("number");
    connection.local = unmapped(entry.at("local"));
    connection.peer = unmapped(entry.at("peer"));
    connection.state = entry.at("state");
    connection.error = entry.value("error", "");
    read_counters(entry, connection);
    report.connections.push_back(std::move(connection));
  }
  return report;
}

}  // namespace

Result<Report> read_report(const std::string& path) {
  const auto limit = std::chrono::steady_clock::now() + 500ms;
  std::string why = "torn";
  do {
    std::ifstream file(path);
    if (!file) return fail_errno("open " + path);
    std::stringstream text;
    text << file.rdbuf();
    try {
      const json status = json::parse(text.str());
      if (status.at("report") == status.at("report_end")) return parse(status);
    } catch (const json::exception& error) {
      why = error.what();
    }
    std::this_thread::sleep_for(5ms);
  } while (std::chrono::steady_clock::now() < limit);
  return fail(ErrorCode::invalid, "read " + path, why);
}

}  // namespace lockstep::traffic
