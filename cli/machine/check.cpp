#include "cli/machine/check.hpp"

#include <algorithm>

#include "cli/machine/criu_config.hpp"

namespace lockstep::cli {

std::string_view to_string(Health health) {
  switch (health) {
    case Health::ok: return "ok";
    case Health::warn: return "warn";
    case Health::fail: return "fail";
  }
  return "?";
}

bool is_healthy(const std::vector<Check>& checks) {
  return std::ranges::none_of(checks, [](const Check& check) { return check.health == Health::fail; });
}

Check judge_runtime_config(const std::string& runtime, const std::string& path, bool is_there, std::string_view text) {
  Check check{runtime + " configuration", Health::ok, path + " runs ", {}};
  const std::string remedy = "lockstep setup --runtime " + runtime;
  if (!is_there) return {check.name, Health::fail, path + " is missing: its CRIU runs no hook", remedy};
  const CriuConfig config = read_criu_config(text);
  const auto hooks = hooks_in(config);
  if (hooks.empty()) return {check.name, Health::fail, path + " names no lockstep-hook", remedy};
  check.found += hooks.front();
  if (hooks.size() > 1) {
    return {check.name, Health::fail, path + " runs lockstep-hook " + std::to_string(hooks.size()) + " times",
            "remove all of these lines, then: " + remedy};
  }
  if (config.network_lock != "skip") {
    return {check.name, Health::fail, path + " lacks \"network-lock skip\": CRIU would add a lock of its own", remedy};
  }
  if (config.tcp_close) {
    return {check.name, Health::fail, path + " has \"tcp-close\": connections would not be saved", "remove that line"};
  }
  return check;
}

Check judge_hook_run(const std::string& runtime, std::string_view log) {
  const std::string name = runtime + " hook";
  constexpr std::string_view kWord = "lockstep-hook: ";
  const std::size_t at = log.find(kWord);
  if (at == std::string_view::npos) {
    return {name, Health::fail, "CRIU does not run the hook of " + runtime + "'s configuration",
            "check that the action script exists, belongs to root and is executable"};
  }
  const std::string_view line = log.substr(at + kWord.size());
  const std::string said(line.substr(0, line.find('\n')));
  if (said.find("no round is open") != std::string::npos) {
    return {name, Health::ok, "CRIU runs it, and it reaches an agent and the broker", {}};
  }
  return {name, Health::fail, "CRIU runs it, and it says: " + said,
          "start lockstep-agent in the pods or on the node, or name a broker in /etc/lockstep/hook.conf"};
}

Check judge_cgroups(std::string_view form, bool has_runc, bool has_crun) {
  Check check{"cgroups", Health::ok, std::string(form), {}};
  if (form != "hybrid" || !has_crun) return check;
  check.health = Health::warn;
  check.found += ": crun refuses to start containers here";
  check.remedy = has_runc ? "podman --runtime runc" : "install runc, and use podman --runtime runc";
  return check;
}

}  // namespace lockstep::cli
