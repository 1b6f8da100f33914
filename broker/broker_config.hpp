/// broker.yaml.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/core/broker_core.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

/// Decisions are kept in memory only: after its death the next broker knows of none.
inline constexpr std::string_view kNoJournal = "none";

struct BrokerConfig {
  std::vector<std::string> listen{"ipc:///run/lockstep/broker.sock"};  ///< ROUTER: events and commands
  std::vector<std::string> publish;                                    ///< PUB; empty: derived from `listen`
  std::vector<std::string> trusted;  ///< hosts beyond loopback that `listen` and `publish` may name
  std::string journal = "/var/lib/lockstep/journal.db";  ///< a file, or kNoJournal
  std::string log_level = "info";
  milliseconds heartbeat{500};
  milliseconds silence{3000};
};

/// Reads the file, fills in what follows from other fields, and refuses what must not be: an endpoint that others
/// could reach and nobody has called trusted (peers are not authenticated).
[[nodiscard]] Result<BrokerConfig> load_broker_config(const std::string& path);
/// The same for what stands in memory; `name` is for messages.
[[nodiscard]] Result<BrokerConfig> parse_broker_config(const std::string& yaml, const std::string& name);

}  // namespace lockstep::broker
