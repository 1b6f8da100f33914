#include "agent/agent_privileges.hpp"

#include <linux/capability.h>

#include "common/log.hpp"
#include "common/privileges.hpp"

namespace lockstep::agent {
namespace {

std::vector<int> needed_by(Scope scope, bool iptables) {
  if (scope == Scope::relay) return {};  // it talks, and no more
  std::vector<int> needed{CAP_NET_ADMIN};
  if (iptables) needed.push_back(CAP_NET_RAW);
  // Other namespaces are entered (setns), and found through the processes of any user.
  if (scope == Scope::node) needed.insert(needed.end(), {CAP_SYS_ADMIN, CAP_SYS_PTRACE});
  return needed;
}

}  // namespace

Result<void> drop_privileges(Scope scope, bool iptables) {
  const auto missing = keep_capabilities(needed_by(scope, iptables));
  if (!missing) return Failure(missing.error());
  for (const std::string& name : *missing) spdlog::warn("{} is missing: what needs it will fail", name);
  return {};
}

}  // namespace lockstep::agent
