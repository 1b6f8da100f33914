#include "tests/e2e/harness/held_sockets.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <stdexcept>

namespace lockstep::e2e {
namespace {

/// Every report is a whole one: it is put in place by a rename.
nlohmann::json report_of(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path), nullptr, false);
}

HeldSocket from_json(const nlohmann::json& json) {
  HeldSocket socket;
  json.at("name").get_to(socket.name);
  json.at("state").get_to(socket.state);
  json.at("error").get_to(socket.error);
  json.at("local").get_to(socket.local);
  json.at("peer").get_to(socket.peer);
  json.at("sent").get_to(socket.sent);
  json.at("received").get_to(socket.received);
  json.at("unread").get_to(socket.unread);
  json.at("unacknowledged").get_to(socket.unacknowledged);
  json.at("end_of_file").get_to(socket.end_of_file);
  json.at("corrupt").get_to(socket.corrupt);
  return socket;
}

std::optional<HeldSocket> find(const std::filesystem::path& status, const std::string& name) {
  const auto report = report_of(status);
  if (report.is_discarded()) return std::nullopt;
  for (const auto& each : report.at("sockets")) {
    if (each.at("name") == name) return from_json(each);
  }
  return std::nullopt;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const HeldSocket& socket) {
  return out << socket.name << " " << socket.local << " > " << socket.peer << " " << socket.state << " " << socket.error
             << ", sent " << socket.sent << " (" << socket.unacknowledged << " not acknowledged), received "
             << socket.received << " (" << socket.unread << " more not read)" << (socket.end_of_file ? ", end" : "")
             << (socket.corrupt ? ", corrupt" : "");
}

HeldSockets::HeldSockets(const Cluster& cluster, std::string id, const Namespace& pod)
    : dir_(cluster.dir()), id_(std::move(id)) {
  process_ = Process::start({.command = {program("lockstep-sockets"), "--commands", dir_ / (id_ + ".commands"),
                                         "--status", dir_ / (id_ + ".json"), "--pidfile", dir_ / (id_ + ".pid")},
                             .log = dir_ / (id_ + ".log"),
                             .netns = pod.path(),
                             .dies_with_test = false});
  if (wait_until([&] { return std::filesystem::exists(dir_ / (id_ + ".pid")); }, 10s)) return;
  throw std::runtime_error(id_ + " does not start: " + tail_of(dir_ / (id_ + ".log"), 5));
}

pid_t HeldSockets::pid() const { return std::stoi(read_file(dir_ / (id_ + ".pid"))); }

void HeldSockets::tell(std::initializer_list<std::string> commands) {
  std::ofstream file(dir_ / (id_ + ".commands"), std::ios::app);
  for (const std::string& command : commands) file << command << '\n';
  file.close();
  told_ += static_cast<int>(commands.size());
  nlohmann::json report;
  const bool obeyed = wait_until(
      [&] {
        report = report_of(dir_ / (id_ + ".json"));
        return !report.is_discarded() && report.at("obeyed") == told_;
      },
      10s);
  if (!obeyed) throw std::runtime_error(id_ + " does not obey: " + *commands.begin());
  if (!report.at("failures").empty()) throw std::runtime_error(id_ + ": " + report.at("failures").dump());
}

HeldSocket HeldSockets::socket(const std::string& name) const {
  if (auto found = find(dir_ / (id_ + ".json"), name)) return std::move(*found);
  throw std::runtime_error(id_ + " has no socket " + name);
}

std::optional<HeldSocket> HeldSockets::await(const std::string& name,
                                             const std::function<bool(const HeldSocket&)>& fits,
                                             std::chrono::milliseconds limit) const {
  std::optional<HeldSocket> last;
  (void)wait_until(
      [&] {
        last = find(dir_ / (id_ + ".json"), name);
        return last && fits(*last);
      },
      limit);
  return last;
}

void connect(HeldSockets& from, const std::string& name, const std::string& address, const HeldSockets& to,
             const std::string& accepted) {
  from.tell("connect " + name + " " + address);
  const auto there = to.await(accepted, [](const HeldSocket& socket) { return socket.state == "open"; });
  if (!there) throw std::runtime_error(to.id() + " does not accept " + name);
}

}  // namespace lockstep::e2e
