// Configuration in YAML. The first byte chooses whose: a group's, the broker's, an agent's, an entry of the allow-list, a
// kubeconfig, the standing groups.
#include "agent/agent_config.hpp"
#include "broker/broker_config.hpp"
#include "broker/core/round.hpp"
#include "broker/groups_file.hpp"
#include "cli/group_file.hpp"
#include "cli/kubernetes/kubeconfig.hpp"
#include "common/key_files.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const std::uint8_t whose = input.byte();
  const std::string yaml(input.rest());
  switch (whose % 6) {
    case 0:
      if (const auto group = cli::parse_group_file(yaml, "group.yaml", "/folder")) {
        fuzz::expect(!group->members.empty() && group->members.size() <= kMaxGroupMembers, "a group has members");
      }
      break;
    case 1:
      if (const auto config = broker::parse_broker_config(yaml, "broker.yaml")) {
        fuzz::expect(config->silence >= 2 * config->heartbeat, "silence is longer than two heartbeats");
      }
      break;
    case 2: (void)agent::parse_agent_config(yaml, "agent.yaml"); break;
    case 3:
      if (const auto entry = parse_key_entry(yaml, "allowed/name.yaml")) {
        fuzz::expect(is_key(entry->public_key) && entry->name == "name", "an entry has a key and its file's name");
        fuzz::expect((entry->role == KeyRole::agent) != entry->node.empty(), "an agent has a node, and nobody else");
      }
      break;
    case 4:
      if (const auto access = cli::parse_kubeconfig(yaml, "config", "/folder", {})) {
        fuzz::expect(access->server.starts_with("https://") && access->server.find_first_of("@\r\n ") == std::string::npos,
                     "a server has an address, and no password in it");
        fuzz::expect(access->token.find_first_of("\r\n") == std::string::npos, "a token ends no header");
        fuzz::expect(access->certificate.given() == access->key.given(), "a certificate has its key");
      }
      break;
    default:
      if (const auto groups = broker::parse_standing_groups(yaml, "groups.yaml", std::chrono::seconds(3))) {
        for (const broker::StandingGroup& group : *groups) {
          fuzz::expect(!broker::check_plan(group.plan), "a standing group can be a round's");
        }
      }
      break;
  }
  return 0;
}
