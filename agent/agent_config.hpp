/// agent.yaml, and what the command line adds to it.
#pragma once

#include <string>

#include "agent/kernel/pod_lock.hpp"
#include "common/clock.hpp"
#include "common/endpoints.hpp"
#include "common/result.hpp"

namespace lockstep::agent {

/// Whose pods an agent looks after.
enum class Scope {
  self,   ///< sidecar: the namespace it runs in
  node,   ///< every pod of the machine that has no agent of its own
  relay,  ///< none: it only carries one hook to the broker
};

struct AgentConfig {
  std::string broker{kDefaultBroker};
  std::string releases;                    ///< the broker's PUB endpoint; empty: derived from `broker`
  std::string key;                         ///< its file; empty: kAgentKey, where there is one
  std::string hook_group;                  ///< whose members' hooks are served as well; empty: root's and ours alone
  std::string name;                        ///< for people; empty: host name and scope
  std::string socket_dir = "/run/lockstep";
  LockBackend lock = LockBackend::automatic;
  Scope scope = Scope::self;
  std::string group;                       ///< what a sidecar says of hooks that don't know whose they are
  std::string member;
  std::string log_level = "info";
  milliseconds in_doubt{3'600'000};
};

[[nodiscard]] Result<AgentConfig> load_agent_config(const std::string& path);
[[nodiscard]] Result<AgentConfig> parse_agent_config(const std::string& yaml, const std::string& name);

}  // namespace lockstep::agent
