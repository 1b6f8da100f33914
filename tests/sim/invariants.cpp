#include "tests/sim/invariants.hpp"

#include <algorithm>

#include "schemas/codec.hpp"

namespace lockstep::sim {
namespace {

bool is_commit(HookAction action) { return action == HookAction::post_dump || action == HookAction::post_restore; }

/// The round of an encoded record; empty where it is none.
RoundId round_of(const std::string& record) {
  const auto decoded = decode_record(record);
  return decoded ? decoded->round : RoundId();
}

}  // namespace

void Invariants::fail(const std::string& rule, const std::string& what) {
  if (!broken_) broken_ = rule + ": " + what;
}

Invariants::Round* Invariants::find(const RoundId& round) {
  const auto at = rounds_.find(round);
  return at == rounds_.end() ? nullptr : &at->second;
}

bool Invariants::is_decided(const RoundId& round) const {
  const auto at = rounds_.find(round);
  return at != rounds_.end() && at->second.decided;
}

const Kernel::Pod& Invariants::pod_of(const Share& share) const {
  const int pod = setting_.members[static_cast<std::size_t>(share.member)].pod;
  return kernel_.pods()[static_cast<std::size_t>(pod)];
}

std::string Invariants::name(const Share& share) const {
  return setting_.members[static_cast<std::size_t>(share.member)].id.value;
}

void Invariants::opened(const RoundId& id, Operation operation, const std::vector<int>& members) {
  Round& round = rounds_[id];
  round.operation = operation;
  for (const int member : members) {
    const bool commands = setting_.members[static_cast<std::size_t>(member)].commands;
    round.shares.push_back({member, false, commands, false, std::nullopt});
  }
}

void Invariants::command_done(const RoundId& id, const MemberId& member) {
  Round* round = find(id);
  if (round == nullptr) return;
  for (Share& share : round->shares) {
    if (name(share) == member.value) share.commands_left = false;
  }
}

void Invariants::check_hold(const RoundId& id, const Round& round) {
  for (const Share& share : round.shares) {
    if (share.commands_left)
      fail("the hold", "round " + id.value + " goes to its vote before the commands of " + name(share));
  }
}

void Invariants::leaves_agent(const Message& message) {
  const auto* ready = std::get_if<Ready>(&message.body);
  Round* round = find(message.round);
  if (ready == nullptr || round == nullptr || ready->phase != Phase::commit || !ready->ok) return;
  for (Share& share : round->shares) {
    if (name(share) == message.member.value) share.voted = true;
  }
}

void Invariants::leaves_broker(const Message& message) {
  const auto* release = std::get_if<Release>(&message.body);
  Round* round = find(message.round);
  const auto* order = std::get_if<Order>(&message.body);
  if (order != nullptr && round != nullptr && order->phase == Phase::commit) check_hold(message.round, *round);
  if (release == nullptr || round == nullptr) return;
  if (release->verdict == Verdict::go && release->early) return check_early(message.round, *round, message, *release);
  if (release->verdict == Verdict::go) return check_go(message.round, *round, *release);
  // An abort that names a member and ends nothing is the answer to a hook that is not the round's.
  const bool for_all = release->over || message.member.empty();
  if (round->decided && for_all)
    fail("votes", "the decided round " + message.round.value + " is aborted: " + release->reason);
}

void Invariants::check_early(const RoundId& id, Round& round, const Message& message, const Release& release) {
  const auto own =
      std::ranges::find_if(round.shares, [&](const Share& each) { return name(each) == message.member.value; });
  const bool right_phase = release.phase == Phase::commit || release.phase == Phase::unlock;
  if (own == round.shares.end() || release.over || !right_phase || round.operation != Operation::dump) {
    return fail("early", "an early go of " + id.value + " is for nobody, or for no vote");
  }
  if (!own->voted) fail("early", name(*own) + " is let go in round " + id.value + " before its vote");
  if (release.phase == Phase::unlock && !own->early) fail("early", name(*own) + " runs on, and was not early");
  if (own->early || release.phase == Phase::unlock) return;
  const bool others = std::ranges::any_of(
      round.shares, [&](const Share& each) { return each.member != own->member && &pod_of(each) == &pod_of(*own); });
  if (!others) fail("early", name(*own) + " goes early in round " + id.value + ", and is alone in its pod");
  own->early = true;
}

void Invariants::check_go(const RoundId& id, Round& round, const Release& release) {
  const bool lock = release.phase == Phase::lock && !release.over;
  if (lock && !round.lock_opened) {
    round.lock_opened = kernel_.now();
    for (const Share& share : round.shares) {
      if (!kernel_.locked(pod_of(share)))
        fail("the cut", "the lock barrier of " + id.value + " opens, the pod of " + name(share) + " is open");
    }
  }
  const bool after_decision = release.over || release.phase == Phase::commit || release.phase == Phase::unlock ||
                              release.phase == Phase::resume;
  if (after_decision && !round.decided)
    fail("votes", "a release of " + id.value + " leaves before the decision is kept");
}

void Invariants::decided(const RoundId& id, const std::vector<Images>& images) {
  Round* round = find(id);
  if (round == nullptr) return fail("votes", "a round that nobody opened is decided: " + id.value);
  round->decided = true;
  for (const Share& share : round->shares) {
    if (!share.voted) fail("votes", "round " + id.value + " is decided, and " + name(share) + " has not voted");
    const Images& folder = images[static_cast<std::size_t>(share.member)];
    const bool stored = round_of(folder.part) == id || (share.early && round_of(folder.record) == id);
    if (round->operation == Operation::dump && !stored) {
      fail("votes", "round " + id.value + " is decided, and " + name(share) + " has not stored its record");
    }
  }
  check_cut(id, *round);
  check_hold(id, *round);
  check_restored(id, *round, images);
  check_one_end(id, *round);
}

void Invariants::taken_back(const RoundId& id) {
  if (Round* round = find(id)) round->decided = false;
}

void Invariants::check_cut(const RoundId& id, const Round& round) {
  if (!round.lock_opened) return fail("the cut", "round " + id.value + " is decided, its lock barrier never opened");
  for (const Share& share : round.shares) {
    const Kernel::Pod& pod = pod_of(share);
    if (kernel_.locked(pod) && pod.closed_since <= *round.lock_opened) continue;
    fail("the cut", "round " + id.value + " is decided, and the pod of " + name(share) +
                        (kernel_.locked(pod) ? " was open in between" : " is open"));
  }
}

void Invariants::check_restored(const RoundId& id, const Round& round, const std::vector<Images>& images) {
  if (round.operation != Operation::restore) return;
  for (const Share& share : round.shares) {
    const RoundId saved = round_of(images[static_cast<std::size_t>(share.member)].record);
    if (find(saved) != nullptr && !is_decided(saved))
      fail("early", name(share) + " is restored in " + id.value + " from images of " + saved.value +
                        ", which was never decided");
  }
}

void Invariants::check_one_end(const RoundId& id, const Round& round) {
  for (const Share& share : round.shares) {
    if (share.commit == HookEnd::abort && round.decided) {
      fail("one end", "round " + id.value + " is decided to commit, and " + name(share) + " was told to abort");
    }
    if (share.commit == HookEnd::go && !round.decided && !share.early) {
      fail("one end", "round " + id.value + " is not decided, and " + name(share) + " was let go");
    }
  }
}

void Invariants::hook_ended(int member, const RoundId& id, HookAction action, HookEnd end, bool waited) {
  Round* round = find(id);
  if (round == nullptr || !is_commit(action) || (end == HookEnd::abort && waited)) return;
  for (Share& share : round->shares) {
    if (share.member == member) share.commit = end;
  }
  check_one_end(id, *round);
}

void Invariants::record_named(int member, const RoundId& id, const Images& images) {
  const std::string& who = setting_.members[static_cast<std::size_t>(member)].id.value;
  const auto record = decode_record(images.record);
  const bool early = std::ranges::any_of(rounds_[id].shares,
                                         [&](const Share& share) { return share.member == member && share.early; });
  if (!is_decided(id) && !early)
    fail("records", "the record of " + who + " gets its name, and round " + id.value + " is not decided");
  if (record && record->conditional != early)
    fail("early", "the record of " + who + " in " + id.value + (early ? " counts alone" : " is conditional"));
  if (!record || record->round != id || record->member.value != who) {
    fail("records", "the record of " + who + " is not that of round " + id.value);
  }
}

void Invariants::reaches_hook(int member, const RoundId& id, HookAction action, const Message& message) {
  const std::string& who = setting_.members[static_cast<std::size_t>(member)].id.value;
  const bool other_round = !message.round.empty() && message.round != id;
  const bool other_member = !message.member.empty() && message.member.value != who;
  // A hook that does not know its round may be taken for one of another; it must not be let go then.
  const auto* answer = std::get_if<Answer>(&message.body);
  const bool lets_go = answer != nullptr && answer->verdict == Verdict::go;
  if (!lets_go && !std::holds_alternative<Store>(message.body)) return;
  if (action == HookAction::network_unlock && setting_.names != HookNames::round_and_member) return;  // CRIU ignores it
  if (other_round || other_member) {
    fail("apart", "a hook of " + who + " in round " + id.value + " hears " + std::string(type_name(message.body)) +
                      " of " + message.member.value + " in round " + message.round.value);
  }
}

void Invariants::reaches_agent(const Message& message) {
  const auto* order = std::get_if<Order>(&message.body);
  Round* round = find(message.round);
  if (order == nullptr || round == nullptr) return;
  for (const Share& share : round->shares) {
    if (name(share) == message.member.value && pod_of(share).id == order->pod && order->operation == round->operation)
      return;
  }
  fail("apart", "an order of round " + message.round.value + " about " + message.member.value + " names another's pod");
}

void Invariants::check_leases() {
  for (const Kernel::Pod& pod : kernel_.pods()) {
    if (!kernel_.locked(pod)) continue;
    const auto died = died_.find(pod.owner);
    if (died != died_.end() && kernel_.now() > died->second + setting_.lease) {
      fail("leases", "a pod is still locked by an agent that is dead for longer than the lease");
    }
  }
}

}  // namespace lockstep::sim
