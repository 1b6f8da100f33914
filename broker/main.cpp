// lockstep-broker: configuration -> fewer privileges -> BrokerShell (sockets) -> BrokerCore (rounds).
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "broker/broker_config.hpp"
#include "broker/broker_shell.hpp"
#include "broker/connection_limit.hpp"
#include "broker/ipc_folder.hpp"
#include "common/log.hpp"
#include "common/priority.hpp"
#include "common/privileges.hpp"
#include "common/signals.hpp"

namespace {

constexpr int kExitUsage = 2;
constexpr int kExitFailure = 1;
constexpr const char* kDefaultConfig = "/etc/lockstep/broker.yaml";

int complain(const lockstep::Error& error, int code) {
  std::fprintf(stderr, "lockstep-broker: %s\n", error.message().c_str());
  return code;
}

lockstep::Result<lockstep::broker::BrokerConfig> load(const std::string& path) {
  // Without a file, and without being told of one, the defaults do: an ipc socket for this machine.
  if (path.empty() && !std::filesystem::exists(kDefaultConfig)) return lockstep::broker::parse_broker_config("{}", "defaults");
  return lockstep::broker::load_broker_config(path.empty() ? kDefaultConfig : path);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Keeps the members of a checkpoint or restore in step, phase by phase.", "lockstep-broker");
  std::string config_path;
  std::string groups_path;
  bool check_only = false;
  app.add_option("--config", config_path, std::string("Configuration file (default: ") + kDefaultConfig + ", if there is one)");
  app.add_option("--groups", groups_path, "File of the groups whose rounds may be started from outside");
  app.add_flag("--check", check_only, "Read the configuration, say what is wrong with it, and exit");
  app.set_version_flag("--version", LOCKSTEP_VERSION);
  app.footer("Exit codes: 0 stopped by a signal, 1 could not serve, 2 usage or configuration.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }

  auto config = load(config_path);
  if (config && !groups_path.empty()) config->groups = std::filesystem::absolute(groups_path).string();
  if (!config) return complain(config.error(), kExitUsage);
  if (auto log = lockstep::setup_log("lockstep-broker", config->log_level); !log) return complain(log.error(), kExitUsage);
  if (!config->groups.empty()) {
    // While it runs a wrong file leaves the groups as they were; at its start there are none to be left.
    const auto groups = lockstep::broker::load_standing_groups(config->groups, config->silence);
    if (!groups) return complain(groups.error(), kExitUsage);
  }
  if (check_only) {
    if (config->keys.empty()) return 0;
    const auto pair = lockstep::load_broker_key(config->keys);
    return pair ? 0 : complain(pair.error(), kExitUsage);
  }
  const auto descriptors = lockstep::broker::limit_descriptors(lockstep::broker::kMaxDescriptors);
  if (!descriptors) return complain(descriptors.error(), kExitFailure);
  if (*descriptors < lockstep::broker::kMaxDescriptors) {
    spdlog::warn("at most {} descriptors, and so fewer connections than {}: raise the hard limit (LimitNOFILE=)",
                 *descriptors, lockstep::broker::kMaxDescriptors);
  }
  auto stop = lockstep::open_signal_fd({SIGINT, SIGTERM});
  if (!stop) return complain(stop.error(), kExitFailure);
  auto hangup = lockstep::open_signal_fd({SIGHUP});
  if (!hangup) return complain(hangup.error(), kExitFailure);
  if (!config->ipc_group.empty()) {
    // While we may: to give a folder to a group takes a right that is dropped next.
    std::vector<std::string> endpoints = config->listen;
    endpoints.insert(endpoints.end(), config->publish.begin(), config->publish.end());
    if (auto made = lockstep::broker::prepare_ipc_folders(endpoints, config->ipc_group); !made) return complain(made.error(), kExitFailure);
  }
  lockstep::run_promptly();  // while we may
  if (auto dropped = lockstep::keep_capabilities({}); !dropped) return complain(dropped.error(), kExitFailure);
  auto shell = lockstep::broker::BrokerShell::create(*config, std::move(*stop), std::move(*hangup));
  if (!shell) return complain(shell.error(), kExitFailure);
  for (const std::string& endpoint : config->listen) spdlog::info("listening on {}", endpoint);
  spdlog::info("ready");
  shell->run();
  return 0;
}
