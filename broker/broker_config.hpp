/// broker.yaml.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/core/broker_core.hpp"
#include "common/endpoints.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

/// `keys: none`: there are none, whatever folder exists.
inline constexpr std::string_view kNoKeys = "none";
/// Decisions are kept in memory only: after its death the next broker knows of none.
inline constexpr std::string_view kNoJournal = "none";

struct BrokerConfig {
  std::vector<std::string> listen{std::string(kDefaultBroker)};  ///< ROUTER: events and commands
  std::vector<std::string> publish;                              ///< PUB; empty: derived from `listen`
  std::string keys;       ///< the folder of the keys (common/key_files.hpp); empty: there are none
  std::string ipc_group;  ///< whose members may use the sockets as operators; empty: nobody's
  std::string journal = "/var/lib/lockstep/journal.db";  ///< a file, or kNoJournal
  std::string groups;  ///< the file of the standing groups (groups_file.hpp); empty: there are none
  std::string log_level = "info";
  milliseconds heartbeat{500};
  milliseconds silence{3000};
};

/// Reads the file, fills in what follows from other fields, and refuses what must not be: an endpoint that others
/// could reach where there are no keys to tell who they are.
[[nodiscard]] Result<BrokerConfig> load_broker_config(const std::string& path);
/// The same for what stands in memory; `name` is for messages.
[[nodiscard]] Result<BrokerConfig> parse_broker_config(const std::string& yaml, const std::string& name);

}  // namespace lockstep::broker
