#include "schemas/messages.hpp"

namespace lockstep {

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::dump: return "dump";
    case Operation::restore: return "restore";
  }
  return "?";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::prepare: return "prepare";
    case Phase::lock: return "lock";
    case Phase::commit: return "commit";
    case Phase::unlock: return "unlock";
    case Phase::resume: return "resume";
  }
  return "?";
}

std::string_view to_string(HookAction action) {
  switch (action) {
    case HookAction::pre_dump: return "pre-dump";
    case HookAction::network_lock: return "network-lock";
    case HookAction::post_dump: return "post-dump";
    case HookAction::network_unlock: return "network-unlock";
    case HookAction::pre_restore: return "pre-restore";
    case HookAction::setup_namespaces: return "setup-namespaces";
    case HookAction::post_restore: return "post-restore";
  }
  return "?";
}

std::string_view to_string(Verdict verdict) { return verdict == Verdict::go ? "go" : "abort"; }

std::string_view to_string(Role role) {
  switch (role) {
    case Role::agent: return "agent";
    case Role::relay: return "relay";
    case Role::client: return "client";
  }
  return "?";
}

std::string_view to_string(RoundState state) {
  switch (state) {
    case RoundState::open: return "open";
    case RoundState::committed: return "committed";
    case RoundState::complete: return "complete";
    case RoundState::aborted: return "aborted";
  }
  return "?";
}

std::string_view to_string(CriuOutcome outcome) {
  switch (outcome) {
    case CriuOutcome::running: return "running";
    case CriuOutcome::succeeded: return "succeeded";
    case CriuOutcome::failed: return "failed";
  }
  return "?";
}

std::string_view to_string(MemberOrder order) {
  switch (order) {
    case MemberOrder::detect: return "detect";
    case MemberOrder::parallel: return "parallel";
    case MemberOrder::serial: return "serial";
  }
  return "?";
}

std::string_view to_string(CommandMoment moment) {
  switch (moment) {
    case CommandMoment::prepare: return "prepare";
    case CommandMoment::frozen: return "frozen";
    case CommandMoment::resume: return "resume";
  }
  return "?";
}

std::string_view to_string(TcpState state) {
  constexpr std::array<std::string_view, 13> kNames{"?",         "established", "syn-sent", "syn-recv", "fin-wait-1",
                                                    "fin-wait-2", "time-wait",  "close",    "close-wait", "last-ack",
                                                    "listen",     "closing",    "new-syn-recv"};
  const auto index = static_cast<std::size_t>(state);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

std::string_view type_name(const Body& body) {
  constexpr std::array<std::string_view, std::variant_size_v<Body>> kNames{
      "Hello",     "Welcome",    "Heartbeat",    "Refused",  "HookEvent", "HookGone",    "Order",        "Release",
      "Pending",   "Ready",      "OpenRound",    "AbortRound", "MemberResult", "GetRound", "GetStatus",
      "RoundStatus", "BrokerStatus", "Alive", "Store",    "Stored",    "Answer",
      "GetHistory", "History",   "CriuGone", "CommandReport"};
  return kNames[body.index()];
}

std::optional<HookAction> hook_action_from(std::string_view criu_name) {
  for (const HookAction action : {HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump,
                                  HookAction::network_unlock, HookAction::pre_restore, HookAction::setup_namespaces,
                                  HookAction::post_restore}) {
    if (to_string(action) == criu_name) return action;
  }
  return std::nullopt;
}

Phase phase_of(HookAction action) {
  switch (action) {
    case HookAction::pre_dump:
    case HookAction::pre_restore: return Phase::prepare;
    case HookAction::network_lock:
    case HookAction::setup_namespaces: return Phase::lock;
    case HookAction::post_dump:
    case HookAction::post_restore: return Phase::commit;
    case HookAction::network_unlock: return Phase::unlock;
  }
  return Phase::prepare;
}

Operation operation_of(HookAction action) {
  switch (action) {
    case HookAction::pre_restore:
    case HookAction::setup_namespaces:
    case HookAction::post_restore: return Operation::restore;
    default: return Operation::dump;
  }
}

bool belongs_to(HookAction action, Operation operation) {
  return action == HookAction::network_unlock || operation_of(action) == operation;
}

}  // namespace lockstep
