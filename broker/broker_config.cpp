#include "broker/broker_config.hpp"

#include <algorithm>

#include "common/config.hpp"
#include "common/endpoints.hpp"

namespace lockstep::broker {
namespace {

void check_endpoints(Config& file, std::string_view key, const std::vector<std::string>& endpoints,
                     const std::vector<std::string>& trusted) {
  for (const std::string& text : endpoints) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) {
      file.complain(key, endpoint.error().message());
      continue;
    }
    if (is_loopback(*endpoint) || std::ranges::find(trusted, endpoint->host) != trusted.end()) continue;
    file.complain(key, "'" + text + "' can be reached from other machines, and peers are not authenticated; list '" +
                           endpoint->host + "' under `trusted` if everybody on that network may stop your pods");
  }
}

Result<BrokerConfig> read(Config file) {
  BrokerConfig config;
  file.texts("listen", config.listen, true);
  file.texts("publish", config.publish, true);
  file.texts("trusted", config.trusted, true);
  file.text("journal", config.journal);
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
  check_endpoints(file, "listen", config.listen, config.trusted);
  check_endpoints(file, "publish", config.publish, config.trusted);
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
