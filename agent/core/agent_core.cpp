#include "agent/core/agent_core.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "schemas/codec.hpp"

namespace lockstep::agent {
namespace {

/// A message lists no more rounds than the format allows; the rest comes with the next, when these are over.
constexpr std::size_t kMostRoundsListed = 1024;

/// A pod may have a thousand conflicts; the first ones say enough.
constexpr std::size_t kLongestReason = 2000;

Holder holder_of(const Message& message) { return {message.round, message.member}; }

std::string text(milliseconds duration) { return std::to_string(duration.count()) + " ms"; }

}  // namespace

AgentCore::AgentCore(CoreSettings settings, PodNetwork& network, TimePoint now)
    : settings_(std::move(settings)), network_(network), locks_(network), heard_(now), next_heartbeat_(now) {}

// --- the broker -----------------------------------------------------------------------------------------------------

void AgentCore::take_over(const PodId& pod, const RoundId& round, TimePoint now, Outbox& out) {
  locks_.take_over(pod, round, settings_.found_lease, now);
  rounds_[round].found_until = now + settings_.in_doubt;
  out.log(LogLevel::warning, "pod net:[" + std::to_string(pod.netns_inode) + "] was left locked for round " +
                                 round.value + "; it stays so until the broker says what became of that");
}

void AgentCore::start(TimePoint now, Outbox& out) {
  Hello hello = settings_.hello;
  hello.held_rounds = known_rounds();
  for (const RoundId& round : hello.held_rounds) {
    if (rounds_[round].found_until) hello.found_rounds.push_back(round);
  }
  out.to_broker(Message{{}, {}, {}, ++sequence_, std::move(hello)});
  hello_retry_ = std::clamp(hello_retry_ * 2, settings_.first_hello_retry, settings_.heartbeat);
  next_heartbeat_ = now + hello_retry_;
}

void AgentCore::on_broker_message(const Message& message, TimePoint now, Outbox& out) {
  const auto* refused = std::get_if<Refused>(&message.body);
  if (refused != nullptr && !refused->say_hello) {
    // Not a sign that the broker still counts on us: whose key has been revoked hears nothing else any more, and must
    // not keep its pods locked for that.
    if (std::exchange(refusal_, refused->reason) == refused->reason) return;
    return out.log(LogLevel::warning, "the broker refused a message: " + refused->reason);
  }
  heard_ = now;
  bind(message, now, out);
  if (const auto* welcome = std::get_if<Welcome>(&message.body)) return on_welcome(*welcome, now, out);
  if (const auto* order = std::get_if<Order>(&message.body)) return on_order(message, *order, now, out);
  if (const auto* release = std::get_if<Release>(&message.body)) return on_release(message, *release, now, out);
  if (refused != nullptr) {
    joined_ = false;
    return start(now, out);
  }
  // Pending and Heartbeat say all they have to say by arriving.
}

void AgentCore::on_publication(const Message& message, TimePoint now, Outbox& out) {
  heard_ = now;
  const bool gap = published_ != 0 && message.sequence > published_ + 1;
  published_ = std::max(published_, message.sequence);
  if (const auto* release = std::get_if<Release>(&message.body)) {
    Message news = message;
    news.sequence = 0;  // counts publications, and answers nobody's question
    on_release(news, *release, now, out);
  }
  if (!gap) return;
  for (auto& [id, hook] : hooks_) forward(hook, now, out);  // what was missed may be what they wait for
}

void AgentCore::on_welcome(const Welcome& welcome, TimePoint now, Outbox& out) {
  if (!joined_) out.log(LogLevel::info, "joined broker " + welcome.broker);
  joined_ = true;
  hello_retry_ = milliseconds(0);
  if (broker_ != welcome.broker) published_ = welcome.published;
  broker_ = welcome.broker;
  settings_.heartbeat = std::max(milliseconds(welcome.heartbeat_ms), milliseconds(10));
  settings_.silence = std::max(milliseconds(welcome.silence_ms), 2 * settings_.heartbeat);
  next_heartbeat_ = now + settings_.heartbeat;
  for (const auto& [round, view] : rounds_) {
    if (view.broken.empty() || view.broken_member.empty() || view.committed) continue;
    say(Holder{round, view.broken_member}, Ready{Phase::lock, false, view.broken, {}, {}}, out);
  }
  for (auto& [id, hook] : hooks_) forward(hook, now, out);
}

void AgentCore::on_order(const Message& message, const Order& order, TimePoint now, Outbox& out) {
  check_locks(now, out);  // before a vote that a lock has run out under
  const Holder holder = holder_of(message);
  const RoundView& view = rounds_[holder.round];
  const bool still_asked = order.phase != Phase::unlock && order.phase != Phase::resume;
  if (still_asked && !view.broken.empty()) return say(holder, Ready{order.phase, false, view.broken, {}, {}}, out);
  switch (order.phase) {
    case Phase::prepare: return say(holder, prepare(order), out);
    case Phase::lock: return say(holder, lock(holder, order, now), out);
    case Phase::commit:
      if (order.operation == Operation::dump) return store(message, order, now, out);
      return say(holder, close_and_read(holder, order), out);
    case Phase::unlock:
    case Phase::resume: return say(holder, let_go(holder, order.phase, order.pod), out);
  }
}

Ready AgentCore::prepare(const Order& order) {
  Ready ready{Phase::prepare, false, {}, {}, {}};
  if (const auto prepared = locks_.prepare({order.pod, order.root_pid, order.netns_path}); !prepared) {
    ready.reason = prepared.error().message();
    return ready;
  }
  ready.ok = true;
  if (order.operation != Operation::restore) return ready;
  auto check = network_.check_for_restore(order.pod, order.sockets, order.addresses);
  if (!check) {
    ready.ok = false;
    ready.reason = check.error().message();
    return ready;
  }
  ready.notes = std::move(check->cleared);
  ready.ok = check->conflicts.empty();
  for (const std::string& conflict : check->conflicts) ready.reason += (ready.reason.empty() ? "" : "; ") + conflict;
  ready.reason.resize(std::min(ready.reason.size(), kLongestReason));
  return ready;
}

Ready AgentCore::close_and_read(const Holder& holder, const Order& order) {
  Ready ready{Phase::commit, false, {}, {}, {}};
  if (!order.sockets.empty()) {
    auto closed = network_.close_connections(order.pod, order.sockets);
    if (!closed) {
      ready.reason = closed.error().message();
      return ready;
    }
    ready.closed = *closed;
  }
  auto sockets = network_.sockets(order.pod, order.socket_inodes);
  if (!sockets) {
    ready.reason = sockets.error().message();
    return ready;
  }
  ready.sockets = std::move(*sockets);
  ready.ok = true;
  rounds_[holder.round].votes.insert(holder.member);
  return ready;
}

Ready AgentCore::lock(const Holder& holder, const Order& order, TimePoint now) {
  Ready ready{Phase::lock, false, {}, {}, {}};
  const PodPlace place{order.pod, order.root_pid, order.netns_path};
  if (auto held = locks_.hold(place, holder, milliseconds(order.lease_ms), now); !held) {
    ready.reason = held.error().message();
    return ready;
  }
  auto addresses = network_.addresses(order.pod);
  if (!addresses) {
    ready.reason = addresses.error().message();
    return ready;
  }
  ready.addresses = std::move(*addresses);
  if (order.operation == Operation::dump) {
    auto sockets = network_.sockets(order.pod, order.socket_inodes);
    if (!sockets) {
      ready.reason = sockets.error().message();
      return ready;
    }
    ready.sockets = std::move(*sockets);
    read_nat(order.pod, ready);
    inodes_[holder] = order.socket_inodes;
  }
  ready.ok = true;
  return ready;
}

void AgentCore::read_nat(const PodId& pod, Ready& ready) {
  // No reason to refuse: without the entries byte counts tell most connections, and the rest is called ambiguous.
  const std::string told = "translated connections are told by their byte counts alone: ";
  auto nat = network_.nat_entries(pod, ready.sockets);
  if (!nat) return ready.notes.push_back(told + nat.error().message());
  ready.nat = std::move(*nat);
  const std::size_t room = room_for_nat(ready.sockets.size());
  if (ready.nat.size() <= room) return;
  ready.notes.push_back(std::to_string(ready.nat.size() - room) + " " + told + "more do not fit into a message");
  ready.nat.resize(room);
}

Ready AgentCore::let_go(const Holder& holder, Phase phase, const PodId& pod) {
  drains_.erase(holder);
  inodes_.erase(holder);
  const auto done = locks_.let_go(holder, pod);
  Ready ready{phase, done.has_value(), {}, {}, {}};
  if (!done) ready.reason = done.error().message();
  return ready;
}

void AgentCore::store(const Message& message, const Order& order, TimePoint now, Outbox& out) {
  const Holder holder = holder_of(message);
  for (auto& [id, hook] : hooks_) {
    if (holder_of(hook.event) != holder || hook.action != HookAction::post_dump) continue;
    if (hook.step == HookStep::stored) return say(holder, Ready{Phase::commit, true, {}, {}, {}}, out);
    if (hook.step == HookStep::storing) return;
    hook.step = HookStep::storing;
    hook.store_deadline = now + settings_.store_limit;
    return out.to_hook(
        id, Message{holder.round, message.group, holder.member, hook.event.sequence, Store{order.record}}, false);
  }
  // One that went early needs no hook any more: this order is an older one.
  if (view_of(holder.round).early.contains(holder.member)) {
    return say(holder, Ready{Phase::commit, true, {}, {}, {}}, out);
  }
  say(holder, Ready{Phase::commit, false, "its post-dump hook is gone", {}, {}}, out);
}

void AgentCore::on_release(const Message& message, const Release& release, TimePoint now, Outbox& out) {
  const bool for_us = rounds_.contains(message.round);
  const bool lets_commit = !release.over && release.phase == Phase::commit && release.verdict == Verdict::go;
  if (for_us && lets_commit && release.early) {
    RoundView& view = rounds_[message.round];
    if (view.votes.contains(message.member)) view.early.insert(message.member);
  } else if (for_us && lets_commit) {
    rounds_[message.round].committed = true;
    if (release.operation == Operation::dump) start_drains(message.round, now);
  }
  for (auto hook = hooks_.begin(); hook != hooks_.end();) {
    const auto next = std::next(hook);
    const Message& event = hook->second.event;
    // An answer to this very question, or news for everybody (or this member) in the round.
    const bool asked = message.sequence != 0 && message.sequence == event.sequence;
    const bool for_all = message.member.empty() && message.sequence == 0;
    const bool told = !message.round.empty() && event.round == message.round &&
                      (for_all || (!message.member.empty() && event.member == message.member));
    const bool concerns = release.over || place_of(phase_of(hook->second.action)) == place_of(release.phase);
    if ((asked || told) && concerns) answer(hook, release.verdict, release.reason, out);
    hook = next;
  }
  if (release.over && !message.round.empty() && message.member.empty()) round_over(message.round, release, out);
}

void AgentCore::round_over(const RoundId& round, const Release& release, Outbox& out) {
  const bool known = rounds_.erase(round) > 0;
  const auto done = locks_.let_go_round(round);
  const auto of_round = [&](const auto& entry) { return entry.first.round == round; };
  std::erase_if(inodes_, of_round);
  std::erase_if(drains_, of_round);
  std::erase_if(unlock_reports_, of_round);
  if (!done) out.log(LogLevel::warning, "round " + round.value + " is over, but: " + done.error().message());
  if (known && release.verdict == Verdict::abort) {
    out.log(LogLevel::warning, "round " + round.value + " aborted: " + release.reason);
  }
}

// --- hooks ----------------------------------------------------------------------------------------------------------

void AgentCore::on_hook_message(HookId id, const Message& message, TimePoint now, Outbox& out) {
  const auto known = hooks_.find(id);
  if (const auto* event = std::get_if<HookEvent>(&message.body); event != nullptr && known == hooks_.end()) {
    return on_hook_event(id, message, *event, now, out);
  }
  if (const auto* stored = std::get_if<Stored>(&message.body);
      stored != nullptr && known != hooks_.end() && known->second.step == HookStep::storing) {
    return on_stored(known->second, *stored, now, out);
  }
  const std::string wrong = "unexpected " + std::string(type_name(message.body));
  out.log(LogLevel::warning, "refused a hook's message: " + wrong);
  out.to_hook(
      id, Message{message.round, message.group, message.member, message.sequence, Answer{Verdict::abort, wrong}}, true);
  on_hook_closed(id, now, out);
}

bool AgentCore::is_own(const PodId& pod) const {
  const Hello& own = settings_.hello;
  return pod.boot_id == own.boot_id && std::ranges::find(own.pods, pod.netns_inode) != own.pods.end();
}

void AgentCore::claim(Message& event) const {
  if (event.member.empty()) {
    event.member = settings_.claim_member;
    if (event.group.empty()) event.group = settings_.claim_group;
  }
  auto& said = std::get<HookEvent>(event.body);
  if (said.dependencies.empty() || !event.group.empty() || settings_.claim_member.empty()) return;
  // A configuration that is not lockstep's own stands behind what this agent was told.
  event.member = settings_.claim_member;
  event.group = settings_.claim_group;
  said.dependencies.clear();
}

void AgentCore::on_hook_event(HookId id, const Message& message, const HookEvent& event, TimePoint now, Outbox& out) {
  Hook hook;
  hook.event = message;
  hook.action = event.action;
  hook.event.sequence = ++sequence_;
  if (is_own(event.pod)) claim(hook.event);
  hook.arrived = now;
  hook.next_alive = now + settings_.alive_interval;
  const auto entry = hooks_.emplace(id, std::move(hook)).first;
  if (event.criu_pid > 0) out.watch_criu(event.criu_pid, event.criu_start);
  if (!joined_ && now - heard_ > settings_.silence && !event.in_doubt) {
    // The end of a failed or committed dump must not wait for a broker that is not there.
    const bool last = event.action == HookAction::network_unlock;
    const Holder holder = holder_of(entry->second.event);
    const RoundView view = view_of(holder.round);
    const bool committed = view.committed;
    // Of one that went early the share is its pod's: others of it may be about to be dumped.
    if (last && !view.early.contains(holder.member)) (void)let_go(holder, Phase::unlock);
    return answer(entry, last && committed ? Verdict::go : Verdict::abort,
                  "this agent has no broker; is it running, and reachable from here?", out);
  }
  forward(entry->second, now, out);
}

void AgentCore::on_stored(Hook& hook, const Stored& stored, TimePoint now, Outbox& out) {
  const Holder holder = holder_of(hook.event);
  locks_.expect_vote(holder, now);
  check_locks(now, out);  // somebody may have flushed the pod's rule set since, or the record has taken long
  if (const RoundView view = view_of(holder.round); !view.broken.empty()) {
    hook.step = HookStep::waiting;
    return say(holder, Ready{Phase::commit, false, view.broken, {}, {}}, out);
  }
  hook.step = stored.ok ? HookStep::stored : HookStep::waiting;
  if (stored.ok) rounds_[holder.round].votes.insert(holder.member);
  say(holder, Ready{Phase::commit, stored.ok, stored.ok ? "" : "record not written: " + stored.reason, {}, {}}, out);
}

void AgentCore::on_hook_closed(HookId id, TimePoint /*now*/, Outbox& out) {
  const auto hook = hooks_.find(id);
  if (hook == hooks_.end()) return;
  const Message& event = hook->second.event;
  // HookGone names no process: said of one that another CRIU's has replaced, it would end the round for that one.
  if (!is_replaced(hook->second)) {
    out.to_broker(Message{event.round, event.group, event.member, ++sequence_, HookGone{hook->second.action}});
  }
  hooks_.erase(hook);
}

bool AgentCore::is_replaced(const Hook& hook) const {
  return std::ranges::any_of(hooks_, [&](const auto& entry) {
    const Hook& other = entry.second;
    return other.event.sequence > hook.event.sequence && other.action == hook.action && !hook.event.member.empty() &&
           other.event.member == hook.event.member && other.event.group == hook.event.group &&
           other.event.round == hook.event.round;
  });
}

void AgentCore::on_criu_gone(std::int32_t pid, std::uint64_t start, Outbox& out) {
  // Not said again: what gets lost, the phase's deadline makes good.
  if (joined_) out.to_broker(Message{{}, {}, {}, ++sequence_, CriuGone{pid, start}});
}

void AgentCore::answer(std::map<HookId, Hook>::iterator hook, Verdict verdict, const std::string& reason, Outbox& out) {
  const Message& event = hook->second.event;
  out.to_hook(hook->first, Message{event.round, event.group, event.member, event.sequence, Answer{verdict, reason}},
              true);
  hooks_.erase(hook);
}

void AgentCore::forward(Hook& hook, TimePoint now, Outbox& out) {
  hook.retry = hook.retry.count() == 0 ? settings_.first_retry : std::min(hook.retry * 2, settings_.last_retry);
  hook.next_retry = now + hook.retry;
  if (joined_) out.to_broker(hook.event);
}

void AgentCore::bind(const Message& answer, TimePoint now, Outbox& out) {
  if (answer.sequence == 0 || answer.round.empty()) return;
  for (auto& [id, hook] : hooks_) {
    Message& event = hook.event;
    if (event.sequence != answer.sequence) continue;
    const bool is_news = std::holds_alternative<Pending>(answer.body) && (event.round.empty() || event.member.empty());
    event.round = answer.round;
    if (event.group.empty()) event.group = answer.group;
    // A name that is not lockstep's own may stand for another one in the round.
    if (event.member.empty() || (is_news && !answer.member.empty())) event.member = answer.member;
    if (!is_news) continue;
    // Before a vote can be out: should this agent die then, the hook asks another one about this round.
    out.to_hook(id, Message{event.round, event.group, event.member, 0, Alive{}}, false);
    if (phase_of(hook.action) == Phase::commit) forward(hook, now, out);  // the broker waits for it with its names
  }
}

// --- time -----------------------------------------------------------------------------------------------------------

void AgentCore::on_time(TimePoint now, Outbox& out) {
  check_locks(now, out);
  check_found(now, out);
  check_drains(now, out);
  check_hooks(now, out);
  check_broker(now, out);
}

void AgentCore::check_locks(TimePoint now, Outbox& out) {
  for (const auto& [holder, removed] : locks_.on_time(now)) {
    const std::string how = removed ? " was removed by somebody else" : " has run out";
    if (holder.member.empty()) {
      out.log(LogLevel::warning, "the lock that was found of round " + holder.round.value + how);
      continue;
    }
    out.log(LogLevel::warning,
            "the lock of member " + holder.member.value + how +
                (removed ? ": keep other programs from flushing the pod's rule set" : ": it was not renewed in time"));
    // Nothing is left to vote on: check_drains() tells the broker that the pod is open.
    if (removed && view_of(holder.round).committed) continue;
    drains_.erase(holder);
    inodes_.erase(holder);
    const std::string why = removed ? "the pod's lock was removed by somebody else, and the pod has been open"
                                    : "the pod's lock ran out; its agent was stopped or could not renew it";
    break_round(holder, why);
    say(holder, Ready{Phase::lock, false, why, {}, {}}, out);
  }
}

void AgentCore::check_found(TimePoint now, Outbox& out) {
  std::vector<RoundId> given_up;
  for (const auto& [round, view] : rounds_) {
    if (view.found_until && now >= *view.found_until) given_up.push_back(round);
  }
  for (const RoundId& round : given_up) {
    Release release;
    release.reason =
        "its lock was found, and no broker has said within " + text(settings_.in_doubt) + " what became of it";
    round_over(round, release, out);
  }
}

void AgentCore::start_drains(const RoundId& round, TimePoint now) {
  for (const Holder& holder : locks_.holders_of(round)) {
    const auto inodes = inodes_.find(holder);
    if (inodes == inodes_.end() || drains_.contains(holder)) continue;
    drains_[holder] = Drain{inodes->second, now + settings_.first_drain_check, settings_.first_drain_check};
  }
}

void AgentCore::check_drains(TimePoint now, Outbox& out) {
  for (auto drain = drains_.begin(); drain != drains_.end();) {
    const auto [holder, state] = *drain;
    ++drain;  // let_go() erases the entry
    if (now < state.next_check) continue;
    const auto pod = locks_.pod_of(holder);
    const auto sockets = pod ? network_.sockets(*pod, state.inodes) : Result<SocketTable>();
    // A pod that is not there any more has nobody left in it. Any other error says nothing about them.
    const bool gone = sockets ? sockets->empty() : sockets.error().code == ErrorCode::not_found;
    if (!gone) {
      const milliseconds interval = std::min(state.interval * 2, settings_.last_drain_check);
      drains_[holder] = Drain{state.inodes, now + interval, interval};
      continue;
    }
    say(holder, let_go(holder, Phase::unlock, pod.value_or(PodId())), out);
    unlock_reports_[holder] = now + settings_.heartbeat;
  }
  for (auto& [holder, due] : unlock_reports_) {
    if (now < due) continue;
    due = now + settings_.heartbeat;
    say(holder, Ready{Phase::unlock, true, {}, {}, {}}, out);
  }
}

void AgentCore::check_hooks(TimePoint now, Outbox& out) {
  for (auto& [id, hook] : hooks_) {
    if (now >= hook.next_alive) {
      hook.next_alive = now + settings_.alive_interval;
      out.to_hook(id, Message{hook.event.round, hook.event.group, hook.event.member, 0, Alive{}}, false);
    }
    if (hook.step == HookStep::storing && now >= hook.store_deadline) {
      hook.step = HookStep::waiting;
      say(holder_of(hook.event),
          Ready{
              Phase::commit, false, "its hook did not write the record within " + text(settings_.store_limit), {}, {}},
          out);
    }
    if (now >= hook.next_retry) forward(hook, now, out);
  }
}

void AgentCore::check_broker(TimePoint now, Outbox& out) {
  if (now >= next_heartbeat_) {
    if (joined_) {
      out.to_broker(Message{{}, {}, {}, ++sequence_, Heartbeat{known_rounds()}});
      next_heartbeat_ = now + settings_.heartbeat;
    } else {
      start(now, out);
    }
  }
  if (now - heard_ <= settings_.silence) return;
  if (joined_) out.log(LogLevel::warning, silence_text());
  joined_ = false;
  give_up(silence_text(), now - heard_ > settings_.in_doubt, out);
}

void AgentCore::give_up(const std::string& why, bool doubt_is_over, Outbox& out) {
  std::vector<Holder> given_up;
  for (auto hook = hooks_.begin(); hook != hooks_.end();) {
    const auto next = std::next(hook);
    const RoundView view = view_of(hook->second.event.round);
    const bool wait_on = may_have_voted(hook->second) && !view.committed && !doubt_is_over;
    if (!wait_on) {
      // After the commit nothing but the unlock is left, and that needs no broker.
      const Holder holder = holder_of(hook->second.event);
      const bool last = hook->second.action == HookAction::network_unlock;
      if (last && !view.early.contains(holder.member)) (void)let_go(holder, Phase::unlock);
      if (!holder.round.empty() && !view.committed) given_up.push_back(holder);
      answer(hook, view.committed ? Verdict::go : Verdict::abort, why, out);
    }
    hook = next;
  }
  std::vector<RoundId> undone;
  for (const RoundId& round : locks_.rounds()) {
    const RoundView view = view_of(round);
    // A committed dump still drains: that needs no broker, and the lock has to stay until the tasks are gone.
    const bool undecided = !view.in_doubt() && !view.committed && !view.found_until;
    if (doubt_is_over || undecided) undone.push_back(round);
  }
  for (const RoundId& round : undone) {
    if (!view_of(round).committed) {
      const std::vector<Holder> holders = locks_.holders_of(round);
      given_up.insert(given_up.end(), holders.begin(), holders.end());
    }
    Release release;
    release.reason = why;
    round_over(round, release, out);
  }
  for (const Holder& holder : given_up) break_round(holder, "its agent has given the round up: " + why);
}

void AgentCore::break_round(const Holder& holder, const std::string& why) {
  RoundView& view = rounds_[holder.round];
  if (!view.broken.empty()) return;
  view.broken = why;
  view.broken_member = holder.member;
}

TimePoint AgentCore::next_deadline() const {
  TimePoint next = next_heartbeat_;
  if (const auto due = locks_.next_deadline()) next = std::min(next, *due);
  for (const auto& [holder, drain] : drains_) next = std::min(next, drain.next_check);
  for (const auto& [holder, due] : unlock_reports_) next = std::min(next, due);
  for (const auto& [round, view] : rounds_) {
    if (view.found_until) next = std::min(next, *view.found_until);
  }
  for (const auto& [id, hook] : hooks_) {
    next = std::min({next, hook.next_alive, hook.next_retry});
    if (hook.step == HookStep::storing) next = std::min(next, hook.store_deadline);
  }
  return next;
}

void AgentCore::shut_down(const std::string& why, Outbox& out) {
  // Whose vote is out hears nothing: the round may be committed, and the hook will ask somebody who knows.
  std::erase_if(hooks_, [this](const auto& entry) { return may_have_voted(entry.second); });
  while (!hooks_.empty()) answer(hooks_.begin(), Verdict::abort, why, out);
  for (const RoundId& round : locks_.rounds()) {
    if (view_of(round).committed) {
      // Whose sockets may still be there stays locked: the lease ends that, or a successor that waits for them.
      for (const Holder& holder : locks_.holders_of(round)) {
        if (holder.member.empty() || drains_.contains(holder)) continue;
        if (const auto done = locks_.let_go(holder); !done) out.log(LogLevel::warning, done.error().message());
      }
      continue;
    }
    // The broker may be deciding to commit at this very moment: such a pod opens with its lease, or when a later agent
    // takes the lock away.
    for (const Holder& holder : locks_.holders_of(round)) {
      if (!holder.member.empty()) say(holder, Ready{Phase::lock, false, why, {}, {}}, out);
    }
  }
}

// --- helpers --------------------------------------------------------------------------------------------------------

void AgentCore::say(const Holder& about, Body body, Outbox& out) {
  out.to_broker(Message{about.round, {}, about.member, ++sequence_, std::move(body)});
}

std::string AgentCore::silence_text() const {
  const std::string address = settings_.broker.empty() ? "" : " at " + settings_.broker;
  return "the broker" + address + " has not been heard for " + text(settings_.silence);
}

bool AgentCore::may_have_voted(const Hook& hook) const {
  if (std::get<HookEvent>(hook.event.body).in_doubt || view_of(hook.event.round).in_doubt()) return true;
  // On restore the owner of the pod votes: where that is another agent, nobody here knows whether it has.
  return hook.action == HookAction::post_restore && !locks_.pod_of(holder_of(hook.event));
}

std::vector<RoundId> AgentCore::known_rounds() const {
  std::vector<RoundId> known;
  for (const auto& [round, view] : rounds_) {
    if (known.size() < kMostRoundsListed) known.push_back(round);
  }
  return known;
}

AgentCore::RoundView AgentCore::view_of(const RoundId& round) const {
  const auto view = rounds_.find(round);
  return view == rounds_.end() ? RoundView{} : view->second;
}

}  // namespace lockstep::agent
