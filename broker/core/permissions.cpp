#include "broker/core/permissions.hpp"

namespace lockstep::broker {
namespace {

template <class... Types>
bool is_one_of(const Body& body) {
  return (std::holds_alternative<Types>(body) || ...);
}

bool of_readers(const Body& body) { return is_one_of<GetRound, GetStatus, GetHistory>(body); }

/// What a client's Hello has no use for, whatever role it names: pods change hands by it, and rounds end.
bool claims_something(const Hello& hello) {
  return hello.role != Role::client || hello.whole_node || !hello.pods.empty() || !hello.found_rounds.empty();
}

std::string told(const Identity& who, const std::string& may) { return who.name + " " + may; }

}  // namespace

bool of_agents(const Body& body) { return is_one_of<HookEvent, HookGone, CriuGone, Ready>(body); }
bool of_operators(const Body& body) { return is_one_of<OpenRound, AbortRound, MemberResult, CommandReport>(body); }

Identity identity_of(const KeyEntry& entry) {
  Access access = Access::observer;
  if (entry.role == KeyRole::agent) access = Access::agent;
  if (entry.role == KeyRole::operator_) access = Access::operator_;
  return {access, entry.public_key, "key " + entry.name, entry.node, entry.boot_id};
}

Identity stranger(const std::string& public_key, const std::string& known_as) {
  return {Access::nothing, public_key, known_as.empty() ? "key " + public_key : "key " + known_as, {}, {}};
}

std::optional<std::string> refusal(const Identity& who, const Body& body) {
  switch (who.access) {
    case Access::everything: return std::nullopt;
    case Access::nothing: return told(who, "is not in the broker's allow-list any more");
    case Access::agent:
      if (of_operators(body) || of_readers(body))
        return told(who, "is an agent's: it may not open, abort or read rounds");
      if (const auto* hello = std::get_if<Hello>(&body); hello != nullptr && hello->role == Role::client) {
        return told(who, "is an agent's, and not for the command line");
      }
      return std::nullopt;
    case Access::observer:
      if (of_operators(body))
        return told(who, "is an observer's: it may read rounds, not open, abort or report on them");
      [[fallthrough]];
    case Access::operator_:
      if (of_agents(body)) return told(who, "is not an agent's: it may not speak for members");
      if (const auto* hello = std::get_if<Hello>(&body); hello != nullptr && claims_something(*hello)) {
        return told(who, "is not an agent's: it may not claim pods");
      }
      return std::nullopt;
  }
  return told(who, "has no role");
}

std::optional<std::string> NodeBook::claim(const Identity& who, const std::string& boot_id) {
  if (who.access != Access::agent) return std::nullopt;
  if (!who.boot_id.empty() && who.boot_id != boot_id) {
    return told(who, "is bound to boot " + who.boot_id + " of node " + who.node + ", not to " + boot_id);
  }
  for (const auto& [node, boot] : boot_of_) {
    if (boot == boot_id && node != who.node) {
      return told(who, "is of node " + who.node + ": boot " + boot_id + " is claimed by the key of node " + node);
    }
  }
  boot_of_[who.node] = boot_id;
  return std::nullopt;
}

void NodeBook::keep_only(const std::set<std::string>& nodes) {
  std::erase_if(boot_of_, [&](const auto& claim) { return !nodes.contains(claim.first); });
}

std::optional<std::string> NodeBook::speak_of(const Identity& who, const std::string& boot_id) const {
  if (who.access != Access::agent || boot_id.empty()) return std::nullopt;
  const auto own = boot_of_.find(who.node);
  if (own != boot_of_.end() && own->second == boot_id) return std::nullopt;
  return told(who, "is of node " + who.node + ": it may not speak about a pod of another machine");
}

}  // namespace lockstep::broker
