#include "cli/broker_address.hpp"

#include <cstdlib>

#include "common/endpoints.hpp"

namespace lockstep::cli {
namespace {

Result<BrokerAddress> address_of(const std::string& source, const std::string& broker, const std::string& releases) {
  const auto endpoint = parse_endpoint(broker);
  if (!endpoint) return fail_from(endpoint.error(), source);
  if (endpoint->host == "*")
    return fail(ErrorCode::invalid, source, "\"*\" is where a broker listens; name its address");
  if (!releases.empty()) return BrokerAddress{broker, releases};
  const auto publish = publish_endpoint_of(*endpoint);
  if (!publish) return fail_from(publish.error(), source);
  return BrokerAddress{broker, publish->text()};
}

}  // namespace

Result<BrokerAddress> broker_address(const std::string& option, const GroupFile* group) {
  if (!option.empty()) return address_of("--broker", option, {});
  if (group != nullptr && !group->broker.empty())
    return address_of(group->path + ": broker", group->broker, group->releases);
  const std::string releases = group != nullptr ? group->releases : "";
  const char* variable = std::getenv(kBrokerVariable);
  if (variable != nullptr && *variable != '\0') return address_of(kBrokerVariable, variable, releases);
  return address_of("default broker", std::string(kDefaultBroker), releases);
}

Result<std::optional<PeerKey>> broker_key(const BrokerAddress& address, const std::string& option, const GroupFile* group) {
  std::string path = option;
  if (path.empty() && group != nullptr) path = group->key;
  const char* variable = std::getenv(kKeyVariable);
  if (path.empty() && variable != nullptr) path = variable;
  return key_for({address.broker, address.releases}, path, {kOperatorKey, kObserverKey});
}

}  // namespace lockstep::cli
