#include "tests/e2e/apps/scene.hpp"

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/e2e/harness/files.hpp"
#include "tests/e2e/harness/wait_until.hpp"

namespace lockstep::apps {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kCommandLimit = 120s;
constexpr auto kFlowLimit = 60s;
constexpr auto kGoneLimit = 30s;
constexpr std::uint32_t kFlowing = 3;  ///< acknowledgements that prove that a connection works: one was under way

void children_of(pid_t pid, std::vector<pid_t>& found) {
  found.push_back(pid);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::istringstream children(e2e::read_file(task.path() / "children"));
    for (pid_t child = 0; children >> child;) children_of(child, found);
  }
}

/// Nothing where lockstep does not know all of it.
std::optional<Frozen> frozen_in(const json& member) {
  const json& split = member.at("frozen");
  bool known = true;
  const auto time = [&](const char* path) {
    const json& part = split.at(json::json_pointer(path));
    known = known && part.is_number();
    return std::chrono::microseconds(part.is_number() ? part.get<std::int64_t>() : 0);
  };
  const Frozen frozen{.still = time("/still_us"),
                      .freezing = time("/criu/freezing_us"),
                      .memory = time("/criu/memory_us"),
                      .rest = time("/criu/rest_us"),
                      .others = time("/others_us"),
                      .hooks = time("/lockstep/hooks_us"),
                      .lock = time("/lockstep/lock_us"),
                      .barriers = time("/lockstep/barriers_us")};
  return known ? std::optional(frozen) : std::nullopt;
}

/// The same for both ends. Loopback is another one in each pod.
std::string tuple(const std::string& member, const std::string& local, const std::string& remote) {
  const std::string ends = std::min(local, remote) + " - " + std::max(local, remote);
  const bool loopback = local.starts_with("127.") || local.starts_with("[::1]");
  return loopback ? member + ": " + ends : ends;
}

}  // namespace

Scene::Scene(const Kind& kind) : pods_(kind.make_pods()), application_(kind.make(*pods_)) {
  application_->start();
  for (const Member& member : pods_->members()) {
    std::error_code none;
    log_sizes_[member.id] = std::filesystem::file_size(pods_->log(member.id), none);
  }
  if (const Faults faults = await_flow(); !faults.empty()) {
    throw std::runtime_error(kind.title() + " does not work by itself: " + faults.front());
  }
  group_ = pods_->write_group();
}

Faults Scene::kill_and_restore() {
  const std::vector<pid_t> before = trees();
  processes_ = before.size();
  Faults faults = checkpoint({});
  if (!faults.empty()) return faults;
  const auto gone = [&] { return std::ranges::none_of(before, e2e::exists); };
  if (!e2e::wait_until(gone, kGoneLimit)) return {"a process lives on after dump and kill"};
  group_ = pods_->make_ready();
  add(faults, restore());
  if (faults.empty()) add(faults, await_flow());
  return faults;
}

Faults Scene::leave_running() {
  processes_ = trees().size();
  Faults faults = checkpoint({"--leave-running"});
  if (faults.empty()) add(faults, await_flow());
  return faults;
}

Faults Scene::roll_back() {
  group_ = pods_->write_group_that_keeps();
  Faults faults = leave_running();  // and on, into what is to be undone
  if (!faults.empty()) return faults;
  const std::vector<pid_t> all = trees();
  pods_->end_members(all);
  if (!e2e::wait_until([&] { return std::ranges::none_of(all, e2e::exists); }, kGoneLimit))
    return {"a process does not end"};
  group_ = pods_->go_back();
  add(faults, rewind_ledgers());
  add(faults, restore());
  if (faults.empty()) add(faults, await_flow());
  return faults;
}

Faults Scene::rewind_ledgers() {
  Faults faults;
  for (Ledger& ledger : application_->ledgers()) {
    const auto before = ledger.entries();
    ledger.begin_anew();
    ledger.read();
    if (ledger.entries() >= before) faults.push_back(ledger.name() + ": nothing to undo");
    add(faults, ledger.faults());
  }
  return faults;
}

json Scene::report_of(std::vector<std::string> command, Faults& faults) {
  command.insert(command.end(), {"--output", "json"});
  const e2e::CommandResult result = pods_->lockstep(command, kCommandLimit);
  json report = json::parse(result.out, nullptr, false);
  if (result.exit_code == 0 && !report.is_discarded()) return report;
  std::string why = result.err;
  if (report.is_object() && report.contains("reason")) {
    why = report.at("reason").dump() + " because of " + report.at("culprit").dump();
    for (const json& member : report.at("members")) {
      why += "\n  " + member.at("id").dump() + ": " + member.at("detail").dump();
    }
  }
  faults.push_back("lockstep " + command.front() + " ends with " + std::to_string(result.exit_code) + ": " + why);
  return json::object();
}

Faults Scene::checkpoint(std::vector<std::string> options) {
  options.insert(options.begin(), {"checkpoint", group_});
  for (Ledger& ledger : application_->ledgers()) {
    ledger.read();
    ledger.forget_pauses();
  }
  Faults faults;
  const json report = report_of(options, faults);
  if (!faults.empty()) return faults;
  if (!report.value("consistent", false)) faults.push_back("the images are no consistent cut: " + report.dump(1));
  measured_ = {};
  measured_.dump = std::chrono::milliseconds(report.at("duration_ms").get<std::int64_t>());
  for (const json& member : report.at("members")) {
    const std::string id = member.at("id");
    for (const char* kind : {"external", "half_open", "ambiguous"}) {
      if (member.at("connections").at(kind) != 0) faults.push_back(id + " has connections that are " + kind);
    }
    measured_.image_bytes += pods_->image_bytes(id);
    const std::optional<Frozen> frozen = frozen_in(member);
    if (!frozen) continue;
    if (!measured_.frozen || frozen->still > measured_.frozen->still) measured_.frozen = frozen;
    measured_.lockstep = std::max(measured_.lockstep, frozen->hooks + frozen->lock + frozen->barriers);
  }
  add(faults, compare_record());
  return faults;
}

Faults Scene::restore() {
  Faults faults;
  const json report = report_of({"restore", group_}, faults);
  if (!faults.empty()) return faults;
  measured_.restore = std::chrono::milliseconds(report.at("duration_ms").get<std::int64_t>());
  if (!report.at("differences").empty())
    faults.push_back("restored with differences: " + report.at("differences").dump(1));
  if (!report.at("after_restore").empty())
    faults.push_back("limits, files or clocks are not as they were: " + report.at("after_restore").dump(1));
  add(faults, compare_pods());
  return faults;
}

Faults Scene::compare_record() {
  Faults faults;
  const json graph = report_of({"connections", group_}, faults);
  Tuples now;
  for (const json& connection : graph.value("connections", json::array())) {
    if (connection.at("remote").is_null()) continue;
    now.insert(tuple(connection.at("member"), connection.at("local"), connection.at("remote")));
  }
  if (now.empty()) faults.push_back("the record has no connections");
  if (tuples_.empty()) tuples_ = now;
  connections_ = now.size();
  for (const std::string& tuple : tuples_) {
    if (!now.contains(tuple)) faults.push_back("not there any more: " + tuple);
  }
  for (const std::string& tuple : now) {
    if (!tuples_.contains(tuple)) faults.push_back("made anew: " + tuple);
  }
  return faults;
}

Faults Scene::compare_pods() {
  Tuples now;
  for (const auto& member : pods_->members()) {
    // An agent in the pod has connections to the broker.
    const auto table =
        pods_->run(member.pod, {"ss", "-Htn", "state", "established", "dport != :7600 and dport != :7601"});
    std::istringstream lines(table.out);
    std::string received, unsent, local, remote;
    while (lines >> received >> unsent >> local >> remote) now.insert(tuple(member.id, local, remote));
  }
  if (now == tuples_) return {};
  return {"the pods have other connections than were saved: " + std::to_string(now.size()) + " instead of " +
          std::to_string(tuples_.size())};
}

Faults Scene::await_flow() {
  std::vector<std::map<std::uint32_t, std::uint32_t>> before;
  for (Ledger& ledger : application_->ledgers()) {
    ledger.read();
    before.push_back(ledger.last());
  }
  Faults faults;
  const auto flows = [&] {
    faults.clear();
    for (std::size_t i = 0; i < before.size(); ++i) {
      Ledger& ledger = application_->ledgers()[i];
      ledger.read();
      if (ledger.last().empty()) faults.push_back(ledger.name() + " notes nothing");
      for (const auto& [connection, last] : ledger.last()) {
        if (last < before[i][connection] + kFlowing) {
          faults.push_back(ledger.name() + ": connection " + std::to_string(connection) + " stands still at " +
                           std::to_string(last));
        }
      }
    }
    return faults.empty();
  };
  (void)e2e::wait_until(flows, kFlowLimit);
  for (Ledger& ledger : application_->ledgers()) {
    add(faults, ledger.faults());
    measured_.pause = std::max(measured_.pause, ledger.longest_pause());
  }
  for (const auto& member : pods_->members()) {
    if (e2e::exists(pods_->pid(member.id))) continue;
    faults.push_back(member.id + " has ended: " + e2e::tail_of(pods_->log(member.id), 5));
  }
  return faults;
}

std::vector<pid_t> Scene::trees() {
  std::vector<pid_t> found;
  for (const auto& member : pods_->members()) children_of(pods_->pid(member.id), found);
  return found;
}

std::uint64_t Scene::acknowledged() {
  std::uint64_t sum = 0;
  for (const Ledger& ledger : application_->ledgers()) sum += ledger.entries();
  return sum;
}

Faults Scene::loud_logs() {
  Faults faults;
  for (const Quiet& quiet : application_->quiet()) {
    std::ifstream log(pods_->log(quiet.member));
    if (!log) faults.push_back(quiet.member + " has no log");
    log.seekg(static_cast<std::streamoff>(log_sizes_[quiet.member]));
    const std::regex pattern(quiet.pattern);
    for (std::string line; std::getline(log, line);) {
      if (!std::regex_search(line, pattern)) continue;
      faults.push_back(quiet.member + " has logged: " + line.substr(0, 300));
      break;
    }
  }
  return faults;
}

Faults Scene::finish() {
  Faults faults = loud_logs();  // before the clients' goodbyes
  for (const auto& member : pods_->members()) {
    const std::size_t pod = member.pod;
    if (!e2e::wait_until([&] { return !pods_->locked(pod); }, 5s)) faults.push_back(member.id + "'s pod stays locked");
  }
  add(faults, application_->finish());
  add(faults, pods_->shut_down());
  return faults;
}

}  // namespace lockstep::apps
