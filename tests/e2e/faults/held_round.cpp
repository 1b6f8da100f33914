#include "tests/e2e/faults/held_round.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

namespace lockstep::e2e {
namespace {

constexpr auto kLongestWait = 30s;

/// Its index among a round's phases, by either operation's hooks.
std::size_t phase_of_action(const std::string& action) {
  if (action == "pre-dump" || action == "pre-restore") return 0;
  if (action == "network-lock" || action == "setup-namespaces") return 1;
  if (action == "post-dump" || action == "post-restore") return 2;
  return 3;
}

std::string variable(const std::string& environment, const std::string& name) {
  const std::string key = '\0' + name + '=';
  const auto at = ('\0' + environment).find(key);
  if (at == std::string::npos) return {};
  return (environment.c_str() + at + key.size() - 1);
}

pid_t parent_of(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const auto at = status.find("PPid:");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + 5);
}

/// It has done all that it can: the member is ready in this phase.
bool is_ready(const Cluster& cluster, const std::string& round, const std::string& member, std::size_t phase) {
  const CommandResult shown =
      cluster.lockstep({"show", round, "--broker", cluster.broker_for_cli(), "--output", "json"});
  const auto json = nlohmann::json::parse(shown.out, nullptr, false);
  if (!json.is_object() || !json.contains("members")) return false;
  const std::string dump = json.value("operation", "");
  const std::vector<std::string> phases{"prepare", "lock", "commit", dump == "dump" ? "unlock" : "resume"};
  for (const auto& row : json["members"]) {
    if (row.value("id", "") == member) return row["phases"][phases[phase]]["ready_us"].is_number();
  }
  return false;
}

}  // namespace

HoldingHook::HoldingHook(std::filesystem::path dir) : dir_(std::move(dir)), script_(dir_ / "holding-hook") {
  std::filesystem::create_directories(dir_);
  const std::string folder = dir_.string();
  // The hook takes this script's place: CRIU has to be its parent. At most a minute, should nobody let it go.
  write_file(script_,
             "#!/bin/sh\n"
             "if [ \"$LOCKSTEP_MEMBER $CRTOOLS_SCRIPT_ACTION\" = \"$(cat " +
                 folder +
                 "/hold 2>/dev/null)\" ]\n"
                 "then\n"
                 "  : > " +
                 folder +
                 "/held\n"
                 "  turns=0\n"
                 "  while [ ! -e " +
                 folder +
                 "/go ] && [ $turns -lt 1200 ]; do\n"
                 "    sleep 0.05; turns=$((turns + 1))\n"
                 "  done\n"
                 "fi\n"
                 "exec " +
                 program("lockstep-hook") + "\n");
  std::filesystem::permissions(script_, std::filesystem::perms::owner_all);
}

void HoldingHook::hold(const std::string& member, const std::string& action) const {
  std::filesystem::remove(dir_ / "held");
  std::filesystem::remove(dir_ / "go");
  write_file(dir_ / "hold", member + " " + action);
}

bool HoldingHook::holds() const { return std::filesystem::exists(dir_ / "held"); }

void HoldingHook::let_go() const {
  std::filesystem::remove(dir_ / "hold");
  write_file(dir_ / "go", "");
}

std::optional<WaitingHook> find_hook(const std::string& member, const std::string& action,
                                     const std::string& socket_dir) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || read_file(entry.path() / "comm") != "lockstep-hook\n") continue;
    const std::string environment = read_file(entry.path() / "environ");
    if (variable(environment, "LOCKSTEP_MEMBER") != member) continue;
    if (variable(environment, "CRTOOLS_SCRIPT_ACTION") != action) continue;
    if (variable(environment, "LOCKSTEP_SOCKET_DIR") != socket_dir) continue;
    return WaitingHook{pid, parent_of(pid), variable(environment, "LOCKSTEP_ROUND")};
  }
  return std::nullopt;
}

std::optional<WaitingHook> await_hook(const Cluster& cluster, const std::string& member, const std::string& action) {
  const std::string socket_dir = cluster.dir() / "run";
  std::optional<WaitingHook> hook;
  const bool ready = wait_until(
      [&] {
        hook = find_hook(member, action, socket_dir);
        return hook && is_ready(cluster, hook->round, member, phase_of_action(action));
      },
      kLongestWait);
  return ready ? hook : std::nullopt;
}

}  // namespace lockstep::e2e
