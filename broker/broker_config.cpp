#include "broker/broker_config.hpp"

#include <unistd.h>

#include "common/config.hpp"
#include "common/endpoints.hpp"
#include "common/ids.hpp"
#include "common/key_files.hpp"

namespace lockstep::broker {
namespace {

void check_endpoints(Config& file, std::string_view key, const std::vector<std::string>& endpoints, bool have_keys) {
  for (const std::string& text : endpoints) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) {
      file.complain(key, endpoint.error().message());
      continue;
    }
    if (is_loopback(*endpoint) || have_keys) continue;
    file.complain(key, "'" + text +
                           "' can be reached from other machines, and there are no keys to tell who comes; make them " +
                           "(lockstep keys init) and name their folder under `keys`");
  }
}

Result<BrokerConfig> read(Config file) {
  BrokerConfig config;
  file.texts("listen", config.listen, true);
  file.texts("publish", config.publish, true);
  file.text("keys", config.keys);
  file.text("ipc_group", config.ipc_group);
  file.text("journal", config.journal);
  file.text("groups", config.groups);
  file.text("log_level", config.log_level);
  file.duration("heartbeat", config.heartbeat, milliseconds(50), milliseconds(60'000));
  file.duration("silence", config.silence, milliseconds(200), milliseconds(600'000));
  if (config.silence < 2 * config.heartbeat) file.complain("silence", "must be at least twice the heartbeat");
  if (config.publish.empty()) {
    for (const std::string& endpoint : config.listen) {
      const auto derived = publish_endpoint_of(endpoint);
      if (derived) config.publish.push_back(*derived);  // what is wrong with `endpoint` is told below
    }
  }
  if (config.journal != kNoJournal && !config.journal.starts_with('/')) {
    file.complain("journal", "must be an absolute path, or \"none\"");
  }
  if (!config.groups.empty() && !config.groups.starts_with('/')) file.complain("groups", "must be an absolute path");
  if (config.keys.empty() && ::access((std::string(kDefaultKeys) + "/broker.key").c_str(), F_OK) == 0)
    config.keys = kDefaultKeys;
  if (config.keys == kNoKeys) config.keys.clear();
  if (!config.keys.empty() && !config.keys.starts_with('/'))
    file.complain("keys", "must be an absolute path, or \"none\"");
  if (!config.ipc_group.empty() && !is_valid_name(config.ipc_group))
    file.complain("ipc_group", "is no name of a group");
  check_endpoints(file, "listen", config.listen, !config.keys.empty());
  check_endpoints(file, "publish", config.publish, !config.keys.empty());
  if (auto done = file.finish(); !done) return Failure(done.error());
  return config;
}

}  // namespace

Result<BrokerConfig> load_broker_config(const std::string& path) {
  auto file = Config::load(path);
  if (!file) return Failure(file.error());
  return read(std::move(*file));
}

Result<BrokerConfig> parse_broker_config(const std::string& yaml, const std::string& name) {
  auto file = Config::parse(yaml, name);
  if (!file) return Failure(file.error());
  return read(std::move(*file));
}

}  // namespace lockstep::broker
