#include "agent/agent_config.hpp"

#include "common/broker_connection.hpp"
#include "common/config.hpp"
#include "common/endpoints.hpp"
#include "common/ids.hpp"

namespace lockstep::agent {
namespace {

Result<AgentConfig> read(Config file) {
  AgentConfig config;
  file.text("broker", config.broker);
  file.text("releases", config.releases);
  file.text("key", config.key);
  file.text("hook_group", config.hook_group);
  file.text("name", config.name);
  file.text("socket_dir", config.socket_dir);
  file.choice("lock", config.lock,
              {{"auto", LockBackend::automatic}, {"nftables", LockBackend::nftables}, {"iptables", LockBackend::iptables}});
  file.choice("pod", config.scope, {{"self", Scope::self}, {"node", Scope::node}});
  file.text("group", config.group);
  file.text("member", config.member);
  file.text("log_level", config.log_level);
  file.duration("in_doubt", config.in_doubt, milliseconds(1'000), milliseconds(86'400'000));

  if (const auto endpoint = parse_endpoint(config.broker); !endpoint) file.complain("broker", endpoint.error().message());
  if (config.releases.empty()) {
    if (const auto derived = publish_endpoint_of(config.broker)) config.releases = *derived;
  }
  if (const auto endpoint = parse_endpoint(config.releases); !endpoint) {
    file.complain("releases", endpoint.error().message());
  }
  if (!config.key.empty() && config.key != kNoKey && !config.key.starts_with('/')) {
    file.complain("key", "must be an absolute path, or \"none\"");
  }
  if (!config.hook_group.empty() && !is_valid_name(config.hook_group)) file.complain("hook_group", "is no name of a group");
  if (!config.group.empty() && !is_valid_name(config.group)) file.complain("group", "is not a valid name");
  if (!config.member.empty() && !is_valid_name(config.member)) file.complain("member", "is not a valid name");
  if (auto done = file.finish(); !done) return Failure(done.error());
  return config;
}

}  // namespace

Result<AgentConfig> load_agent_config(const std::string& path) {
  auto file = Config::load(path);
  if (!file) return Failure(file.error());
  return read(std::move(*file));
}

Result<AgentConfig> parse_agent_config(const std::string& yaml, const std::string& name) {
  auto file = Config::parse(yaml, name);
  if (!file) return Failure(file.error());
  return read(std::move(*file));
}

}  // namespace lockstep::agent
