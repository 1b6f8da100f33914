/// Which broker a command talks to.
#pragma once

#include <string>

#include "cli/group_file.hpp"
#include "common/broker_connection.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

struct BrokerAddress {
  std::string broker;
  std::string releases;  ///< its PUB endpoint
};

/// The environment variable that names a broker where neither the command line nor a group file does.
inline constexpr const char* kBrokerVariable = "LOCKSTEP_BROKER";

/// The first of: `option` (--broker), the group's `broker:`, the environment, the default. The group's `releases:` goes
/// with its own broker only. `group` may be null.
[[nodiscard]] Result<BrokerAddress> broker_address(const std::string& option, const GroupFile* group);

/// The environment variable that names the key where neither the command line nor a group file does.
inline constexpr const char* kKeyVariable = "LOCKSTEP_KEY";

/// The key for this broker: of the first of `option` (--key), the group's `key:`, the environment, and the default files.
/// Nothing where none is needed (common/broker_connection.hpp).
[[nodiscard]] Result<std::optional<PeerKey>> broker_key(const BrokerAddress& address, const std::string& option,
                                                        const GroupFile* group);

}  // namespace lockstep::cli
