// lockstep-agent: configuration -> AgentShell (sockets) -> AgentCore (relaying, orders, locks) -> Pods (the kernel).
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "agent/agent_config.hpp"
#include "agent/agent_shell.hpp"
#include "agent/probe.hpp"
#include "common/endpoints.hpp"
#include "common/log.hpp"
#include "common/priority.hpp"
#include "common/signals.hpp"

namespace {

using lockstep::agent::AgentConfig;
using lockstep::agent::Scope;

constexpr int kExitUsage = 2;
constexpr int kExitFailure = 1;
constexpr const char* kDefaultConfig = "/etc/lockstep/agent.yaml";

struct Options {
  std::string config_path;
  std::string pod;
  std::string broker;
  std::string key;
  bool node = false;
  bool relay = false;
  bool check_only = false;
  bool probe = false;
  int hook_fd = -1;
};

int complain(const lockstep::Error& error, int code) {
  std::fprintf(stderr, "lockstep-agent: %s\n", error.message().c_str());
  return code;
}

lockstep::Result<AgentConfig> load(const Options& options) {
  const bool none = options.config_path.empty() && !std::filesystem::exists(kDefaultConfig);
  auto config =
      none || options.relay
          ? lockstep::agent::parse_agent_config("{}", "defaults")
          : lockstep::agent::load_agent_config(options.config_path.empty() ? kDefaultConfig : options.config_path);
  if (!config) return config;
  if (!options.pod.empty()) config->scope = Scope::self;
  if (options.node) config->scope = Scope::node;
  if (options.relay) {
    config->scope = Scope::relay;
    config->log_level = "warning";  // its stderr is CRIU's log
  }
  if (!options.key.empty()) config->key = options.key;
  if (options.broker.empty()) return config;
  auto releases = lockstep::publish_endpoint_of(options.broker);
  if (!releases) return lockstep::Failure(releases.error());
  config->broker = options.broker;
  config->releases = *releases;
  return config;
}

void describe(CLI::App& app, Options& options) {
  app.add_option("--config", options.config_path,
                 std::string("Configuration file (default: ") + kDefaultConfig + ", if there is one)");
  auto* pod = app.add_option("--pod", options.pod, "Look after one pod: `self`, the one this process runs in (sidecar)")
                  ->check(CLI::IsMember({"self"}));
  auto* node =
      app.add_flag("--node", options.node, "Look after every pod of this machine that has no agent of its own");
  node->excludes(pod);
  app.add_option("--broker", options.broker, "The broker's address, instead of the configuration's");
  app.add_option("--key", options.key, "The file of this agent's key, instead of the configuration's")->type_name("FILE");
  app.add_flag("--check", options.check_only, "Read the configuration, say what is wrong with it, and exit");
  app.add_flag("--probe", options.probe,
               "Ask the agent that runs with this configuration whether it serves, and exit: 0 or 1");
  // How a hook without an agent reaches the broker; not for people.
  auto* relay = app.add_flag("--relay", options.relay)->group("");
  app.add_option("--hook-fd", options.hook_fd)->group("")->needs(relay);
  relay->excludes(pod)->excludes(node);
  app.set_version_flag("--version", LOCKSTEP_VERSION);
  app.footer("Exit codes: 0 stopped by a signal, 1 could not serve, 2 usage or configuration.");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Locks and reads the network of pods for checkpoints, and carries CRIU's hooks to the broker.",
               "lockstep-agent");
  Options options;
  describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }

  const auto config = load(options);
  if (!config) return complain(config.error(), kExitUsage);
  if (auto log = lockstep::setup_log("lockstep-agent", config->log_level); !log)
    return complain(log.error(), kExitUsage);
  if (options.check_only) return 0;
  if (options.probe) {
    const auto alive = lockstep::agent::probe(*config);
    return alive ? 0 : complain(alive.error(), kExitFailure);
  }
  auto stop = lockstep::open_signal_fd({SIGINT, SIGTERM});
  if (!stop) return complain(stop.error(), kExitFailure);
  lockstep::run_first();  // while we may
  auto shell = lockstep::agent::AgentShell::create(*config, std::move(*stop), lockstep::Fd(options.hook_fd));
  if (!shell) return complain(shell.error(), kExitFailure);
  spdlog::info("ready");
  (*shell)->run();
  return 0;
}
