#include "cli/machine/doctor_command.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/criu_process.hpp"
#include "cli/exit_code.hpp"
#include "cli/machine/machine_checks.hpp"

namespace lockstep::cli {

std::vector<Check> examine(const DoctorOptions& options) {
  std::vector<Check> checks{check_root()};
  // Everything else would only say the same again, in harder words.
  if (checks.front().health == Health::fail) return checks;
  const auto add = [&checks](std::vector<Check> more) {
    checks.insert(checks.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  add({check_lock(), check_sock_diag(), check_pidfd(), check_iptables(), check_clock()});
  add(check_criu_works(options.criu));
  add(check_runtimes(options.criu, options.root));
  add({check_agents(options.socket_dir), check_broker(options.broker, options.key), check_host_network()});
  return checks;
}

std::string doctor_text(const std::vector<Check>& checks) {
  std::size_t width = 0;
  for (const Check& check : checks) width = std::max(width, check.name.size());
  std::string text;
  for (const Check& check : checks) {
    std::string health(to_string(check.health));
    health.resize(4, ' ');
    text += health + "  " + check.name + std::string(width - check.name.size() + 2, ' ') + check.found + "\n";
    if (!check.remedy.empty()) text += std::string(width + 8, ' ') + "-> " + check.remedy + "\n";
  }
  return text +
         (is_healthy(checks) ? "a round would work on this machine\n" : "a round would NOT work on this machine\n");
}

std::string doctor_json(const std::vector<Check>& checks) {
  auto list = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    nlohmann::ordered_json remedy;
    if (!check.remedy.empty()) remedy = check.remedy;
    list.push_back(
        {{"name", check.name}, {"health", to_string(check.health)}, {"found", check.found}, {"remedy", remedy}});
  }
  const bool healthy = is_healthy(checks);
  const nlohmann::ordered_json json{
      {"healthy", healthy}, {"checks", list}, {"exit_code", int{healthy ? kDone : kFailed}}};
  // What programs have said may be no UTF-8.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

int run_doctor_command(const DoctorOptions& options) {
  const auto held = hold_ending_signals();
  const std::vector<Check> checks = examine(options);
  std::fputs((options.json ? doctor_json(checks) : doctor_text(checks)).c_str(), stdout);
  return is_healthy(checks) ? kDone : kFailed;
}

}  // namespace lockstep::cli
