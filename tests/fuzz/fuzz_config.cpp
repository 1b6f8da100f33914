// Configuration in YAML. The first byte chooses whose: a group's, the broker's, an agent's.
#include "agent/agent_config.hpp"
#include "broker/broker_config.hpp"
#include "cli/group_file.hpp"
#include "tests/fuzz/input.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  fuzz::Pieces input(fuzz::view_of(data, size));
  const std::uint8_t whose = input.byte();
  const std::string yaml(input.rest());
  switch (whose % 3) {
    case 0:
      if (const auto group = cli::parse_group_file(yaml, "group.yaml", "/folder")) {
        fuzz::expect(!group->members.empty() && group->members.size() <= cli::kMaxGroupMembers, "a group has members");
      }
      break;
    case 1:
      if (const auto config = broker::parse_broker_config(yaml, "broker.yaml")) {
        fuzz::expect(config->silence >= 2 * config->heartbeat, "silence is longer than two heartbeats");
      }
      break;
    default: (void)agent::parse_agent_config(yaml, "agent.yaml"); break;
  }
  return 0;
}
