#include "broker/core/broker_core.hpp"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>

namespace lockstep::broker {
namespace {

/// Agents listed in one status: more than the format's limit would make a message that nobody can read.
constexpr std::size_t kMaxListed = 4096;

/// The shortest lease, in silences: a dead agent is noticed after one, a message under way may be as old as another, a
/// successor starts, and what was decided before has to be done.
constexpr int kLeastLease = 4;

/// What only agents and their relays say, and what only clients do. Anything else is told apart by its type alone.
bool is_theirs(Role role, const Body& body) {
  return role == Role::client ? !of_agents(body) : !of_operators(body);
}

}  // namespace

std::uint32_t least_lease_ms(milliseconds silence) {
  return static_cast<std::uint32_t>((kLeastLease * silence).count());
}

BrokerCore::BrokerCore(CoreSettings settings, Journal& journal, TimePoint now, std::int64_t unix_ms)
    : settings_(std::move(settings)),
      journal_(journal),
      started_(now),
      started_unix_ms_(unix_ms),
      last_turn_(now),
      next_silence_check_(now),
      openings_(settings_.own_rounds_in_a_minute) {}

void BrokerCore::recover(TimePoint now, Outbox& out) {
  auto unfinished = journal_.unfinished();
  if (!unfinished && !std::exchange(recovered_, false)) return;  // as before
  recovered_ = unfinished.has_value();
  if (!unfinished) {
    return out.log(LogLevel::warning, "the journal can't be read; no round is opened until it can: " +
                                          unfinished.error().message());
  }
  for (JournalRound& begin : *unfinished) {
    const bool decided = begin.decided;
    Round& round = take_in(std::move(begin), now);
    if (decided) {
      out.log(LogLevel::info, "round " + round.id().value + " was decided before this broker started; it is seen through");
      continue;
    }
    round.abort("the broker was restarted before the decision", {}, now, out);
    touched(round, RoundState::open, now, out);
  }
}

// --- from the outside -----------------------------------------------------------------------------------------------

void BrokerCore::on_message(const PeerId& from, const Message& message, TimePoint now, Outbox& out,
                            const Identity& who) {
  ++counters_.messages;
  notice_standstill(now, out);
  const Sender sender{from, message, now, out, who};
  if (const auto why = not_permitted(sender)) return forbid(sender, *why);
  const Peer* known = directory_.find(from);
  // A routing id is chosen by whoever connects; another one's is not taken for its owner's.
  if (known != nullptr && known->who.id != who.id) {
    lose_peer(from, "has another identity now (" + who.name + ")", now, out);
  }
  if (!std::holds_alternative<Hello>(message.body) && !directory_.heard(from, now)) {
    // Not an offence: it is what every peer runs into after this broker was restarted.
    out.send(from, Message{message.round, message.group, message.member, message.sequence,
                           Refused{"say Hello first", true}});
    return;
  }
  if (const Peer* peer = directory_.find(from); peer != nullptr && !is_theirs(peer->hello.role, message.body)) {
    return refuse(sender, std::string(type_name(message.body)) + " is not for a peer that came as " +
                              std::string(to_string(peer->hello.role)));
  }
  std::visit([&](const auto& body) { on(sender, body); }, message.body);
}

std::optional<std::string> BrokerCore::not_permitted(const Sender& from) {
  if (auto why = refusal(from.who, from.message.body)) return why;
  if (const auto* hello = std::get_if<Hello>(&from.message.body)) return nodes_.claim(from.who, hello->boot_id);
  if (const auto* event = std::get_if<HookEvent>(&from.message.body)) return nodes_.speak_of(from.who, event->pod.boot_id);
  return std::nullopt;
}

void BrokerCore::forbid(const Sender& from, const std::string& reason) {
  ++counters_.forbidden;
  refusals_.tell("forbidden " + std::string(type_name(from.message.body)) + ": " + reason, from.now, from.out);
  answer(from, Refused{reason, false});
}

void BrokerCore::on_turned_away(const std::string& why, TimePoint now, Outbox& out) {
  ++counters_.unauthenticated;
  refusals_.tell("turned away: " + why, now, out);
}

void BrokerCore::on_revoked(const std::vector<Identity>& revoked, const std::set<std::string>& nodes, TimePoint now,
                            Outbox& out) {
  for (const Identity& who : revoked) {
    out.log(LogLevel::info, who.name + " counts no more");
    lose_peers(directory_.peers_of(who.id), "has lost its key", now, out);
  }
  nodes_.keep_only(nodes);
}

void BrokerCore::on_malformed(const PeerId& from, const std::string& why, Outbox& out) {
  ++counters_.malformed;
  const Peer* peer = directory_.find(from);
  const std::string who = peer != nullptr ? peer->hello.name : "an unknown peer";
  refusals_.tell("refused a message of " + who + ": " + why, last_turn_, out);
  out.send(from, Message{{}, {}, {}, 0, Refused{why, false}});
}

void BrokerCore::on_unroutable(const PeerId& peer, TimePoint now, Outbox& out) {
  ++counters_.unroutable;
  lose_peer(peer, "can't be reached", now, out);
}

void BrokerCore::notice_standstill(TimePoint now, Outbox& out) {
  const Duration gap = now - std::exchange(last_turn_, now);
  // Agents had heard this broker last up to one heartbeat before it stopped; the other one is for what is under way.
  if (gap <= settings_.silence - 2 * settings_.heartbeat) return;
  // What has piled up was said before the agents gave this broker up: votes among it count no more.
  const std::string why = "the broker stood still for " +
                          std::to_string(std::chrono::duration_cast<milliseconds>(gap).count()) +
                          " ms; agents may have unlocked their pods";
  for (Round* round : std::vector<Round*>(live_)) {
    const RoundState before = round->state();
    round->abort(why, {}, now, out);
    touched(*round, before, now, out);
  }
}

void BrokerCore::on_time(TimePoint now, Outbox& out) {
  notice_standstill(now, out);
  if (now >= next_silence_check_) {
    next_silence_check_ = now + settings_.heartbeat;
    if (!recovered_) recover(now, out);
    lose_peers(directory_.silent_since(now - settings_.silence),
               "has not been heard for " + std::to_string(settings_.silence.count()) + " ms", now, out);
  }
  for (Round* round : std::vector<Round*>(live_)) {
    const RoundState before = round->state();
    const bool was_serial = round->serial();
    round->on_deadline(now, out);
    if (round->state() != before || round->serial() != was_serial) touched(*round, before, now, out);
  }
  for (const Gathering::Expired& late : gathering_.expire(now)) {
    out.log(LogLevel::warning, "member " + late.event.message.member.value + " is sent back: " + late.reason);
    answer_abort({late.event.from, late.event.message, now, out, late.event.who}, late.reason);
  }
  for (auto due = status_due_.begin(); due != status_due_.end();) {
    if (due->second > now) {
      ++due;
      continue;
    }
    if (const Round* round = find(due->first)) {
      out.publish(kStatusTopic, Message{round->id(), round->group(), {}, 0, round->status()});
    }
    due = status_due_.erase(due);
  }
}

TimePoint BrokerCore::next_deadline() const {
  TimePoint next = next_silence_check_;
  for (const Round* round : live_) next = std::min(next, round->deadline().value_or(next));
  for (const auto& [id, due] : status_due_) next = std::min(next, due);
  return std::min(next, gathering_.next_deadline().value_or(next));
}

// --- peers ----------------------------------------------------------------------------------------------------------

void BrokerCore::on(const Sender& from, const Hello& hello) {
  // Commands come, ask and go without a word; agents must not find the room taken by them.
  if (directory_.find(from.id) == nullptr && directory_.size() >= settings_.max_peers &&
      !directory_.forget_quietest_client()) {
    return refuse(from, "the broker knows " + std::to_string(settings_.max_peers) + " peers already");
  }
  // What is kept of it: of pods, each once, and only an agent's; of rounds, none, which may be many.
  Hello kept{hello.role, hello.name, hello.boot_id, {}, hello.role == Role::agent && hello.whole_node, {}, {}};
  if (hello.role == Role::agent) {
    const std::set<std::uint64_t> pods(hello.pods.begin(), hello.pods.end());
    kept.pods.assign(pods.begin(), pods.end());
  }
  // What it claims already is claimed anew, and so counted twice: near the limit that does no harm.
  if (directory_.pods() + kept.pods.size() > settings_.max_pods) {
    return refuse(from, "agents claim more than " + std::to_string(settings_.max_pods) + " pods");
  }
  // An agent that comes back under another routing id was restarted: its former self will not be heard again.
  std::set<PeerId> former;
  for (const std::uint64_t inode : kept.pods) {
    const Peer* owner = directory_.owner_of(PodId{hello.boot_id, inode});
    if (owner != nullptr && !owner->hello.whole_node && owner->id != from.id) former.insert(owner->id);
  }
  if (kept.whole_node) {
    const Peer* owner = directory_.owner_of(PodId{hello.boot_id, 0});
    if (owner != nullptr && owner->id != from.id) former.insert(owner->id);
  }
  for (const PeerId& id : former) lose_peer(id, "was restarted", from.now, from.out);

  const bool known = directory_.find(from.id) != nullptr;
  if (known && hello.role == Role::agent) {
    for (Round* round : std::vector<Round*>(live_)) {
      const RoundState before = round->state();
      round->on_hello_again(from.id, hello.name, from.now, from.out);
      touched(*round, before, from.now, from.out);
    }
  }
  directory_.enter(from.id, kept, from.now, from.who);
  for (const RoundId& id : hello.found_rounds) {
    Round* round = find(id);
    // What a key's agent has found on its own node says nothing about rounds elsewhere.
    if (round == nullptr || (from.who.access == Access::agent && !round->concerns(hello.boot_id))) continue;
    const RoundState before = round->state();
    round->on_found_lock(from.id, hello.name, directory_, from.now, from.out);
    touched(*round, before, from.now, from.out);
  }
  if (!known && hello.role != Role::client) {
    from.out.log(LogLevel::info, std::string(to_string(hello.role)) + " " + hello.name + " is here, with " +
                                     (kept.whole_node ? "its whole node" : std::to_string(kept.pods.size()) + " pods"));
  }
  answer(from, Welcome{settings_.name, static_cast<std::uint32_t>(settings_.heartbeat.count()),
                       static_cast<std::uint32_t>(settings_.silence.count()), published_});
  release_ended(from, hello.held_rounds);
}

void BrokerCore::on(const Sender& from, const Heartbeat& heartbeat) {
  answer(from, Heartbeat{});
  release_ended(from, heartbeat.held_rounds);
}

void BrokerCore::release_ended(const Sender& from, const std::vector<RoundId>& held) {
  for (const RoundId& id : held) {
    const Round* round = find(id);
    if (round != nullptr && round->over()) from.out.send(from.id, round->over_message());
    // It may have been decided while this agent, or this broker, was away.
    if (round != nullptr && round->state() == RoundState::committed) from.out.send(from.id, round->decision_message());
    if (round != nullptr) continue;
    if (auto verdict = past_verdict(id)) from.out.send(from.id, std::move(*verdict));
  }
}

std::optional<Message> BrokerCore::past_verdict(const RoundId& id) const {
  if (!recovered_) return std::nullopt;  // it may be among those that are not known yet
  const auto last_word = journal_.find(id);
  if (!last_word) return std::nullopt;
  Release release{Operation::dump, Phase::prepare, Verdict::abort, "the broker does not know this round", {}, true};
  if (const auto* status = *last_word ? std::get_if<RoundStatus>(&(*last_word)->body) : nullptr) {
    release = Release{status->operation, status->phase, Verdict::abort, status->reason, status->culprit, true};
    if (status->state != RoundState::aborted) release.verdict = Verdict::go;
  } else {
    // The end of a round that is not in memory may not have found room on the disk; its decision had.
    const auto decided = journal_.decided(id);
    if (!decided) return std::nullopt;
    if (*decided) {
      const Operation operation = (*decided)->plan.operation;
      release = Release{operation, phases_of(operation).back(), Verdict::go, {}, {}, true};
    }
  }
  return Message{id, {}, {}, 0, release};
}

void BrokerCore::lose_peers(const std::vector<PeerId>& ids, const std::string& why, TimePoint now, Outbox& out) {
  gathering_.drop_all_of(ids);
  for (const PeerId& id : ids) lose_peer(id, why, now, out);
}

void BrokerCore::lose_peer(const PeerId& id, const std::string& why, TimePoint now, Outbox& out) {
  const Peer* peer = directory_.find(id);
  if (peer == nullptr) return;
  const std::string name = peer->hello.name;
  const bool carries_rounds = peer->hello.role != Role::client;
  const bool is_relay = peer->hello.role == Role::relay;
  directory_.remove(id);
  if (!carries_rounds) return;
  gathering_.drop_all_of({id});
  // A relay ends with its hook, and nobody says good-bye: that is no news.
  if (is_relay) out.log(LogLevel::debug, "relay " + name + " " + why);
  else out.log(LogLevel::warning, "agent " + name + " " + why);
  for (Round* round : std::vector<Round*>(live_)) {
    const RoundState before = round->state();
    round->on_peer_lost(id, name, why, now, out);
    touched(*round, before, now, out);
  }
}

// --- what agents say ------------------------------------------------------------------------------------------------

template <class Use>
void BrokerCore::with_member(const Sender& from, const Place& place, const Use& use) {
  Round* round = place.round;
  if (!place.doubt.empty()) return answer_abort(from, place.doubt + "; name the group (LOCKSTEP_GROUP)");
  if (round == nullptr && from.message.round.empty()) return answer_abort(from, "no round is open for it");
  if (round == nullptr) {
    auto verdict = past_verdict(from.message.round);
    if (!verdict) return answer(from, Pending{});  // it may have been decided: whoever has voted has to wait
    return answer(from, std::move(verdict->body));
  }
  const MemberId& member = place.member;
  if (!round->has_member(member)) {
    // Not over: the round lives, and its other members with it.
    const auto* event = std::get_if<HookEvent>(&from.message.body);
    const Phase phase = event != nullptr ? phase_of(event->action) : Phase::prepare;
    return answer(from, Release{round->plan().operation, phase, Verdict::abort,
                                "round " + round->id().value + " has no such member", from.message.member, false});
  }
  // What the event itself says of its pod has been looked at; here it is what the round knows.
  if (const auto why = nodes_.speak_of(from.who, round->pod_of(member).boot_id)) return forbid(from, *why);
  const RoundState before = round->state();
  use(*round, member);
  touched(*round, before, from.now, from.out);
}

void BrokerCore::on(const Sender& from, const HookEvent& event) {
  const bool knows_none = from.message.round.empty();
  const bool is_first = phase_of(event.action) == Phase::prepare;
  if (knows_none && !event.in_doubt && answer_of_former(from, event)) return;
  Place place = place_of(from.message, &event);
  if (place.round == nullptr && place.doubt.empty() && knows_none && is_first) {
    const auto begun = begin_from_outside(from, event);
    if (!begun) return;
    place = *begun;
  }
  // It was kept before there was this round.
  if (place.round != nullptr && knows_none && is_first) (void)gathering_.drop(from.message.member, from.id);
  if (place.round != nullptr && knows_none && !is_first && place.round->awaits(place.member)) {
    // Its first hook was let go by another round, of which nobody knows any more. This one goes on without it.
    return answer_abort(from, "round " + place.round->id().value + " does not know its CRIU (" +
                                  std::string(to_string(event.action)) +
                                  " without the hook before it); the round that it was in is over");
  }
  take_event(from, event, place);
}

void BrokerCore::take_event(const Sender& from, const HookEvent& event, const Place& place) {
  with_member(from, place, [&](Round& round, const MemberId& member) {
    if (from.message.round.empty() || from.message.member.empty()) {
      // The hook did not know what it belongs to: tell its agent before anything is published under those names.
      from.out.send(from.id, Message{round.id(), round.group(), member, from.message.sequence, Pending{}});
      // Its agent says it again with the names. No vote is asked for before the hook knows which round it is for: it may
      // have to ask another agent how that round has ended.
      if (phase_of(event.action) == Phase::commit) return;
    }
    round.on_hook_event(member, event, from.id, from.message.sequence, directory_, from.now, from.out);
  });
}

void BrokerCore::on(const Sender& from, const HookGone& gone) {
  if (from.message.round.empty() && gathering_.drop(from.message.member, from.id)) return;
  with_member(from, place_of(from.message, nullptr), [&](Round& round, const MemberId& member) {
    round.on_hook_gone(member, gone, from.id, from.now, from.out);
  });
}

void BrokerCore::on(const Sender& from, const CriuGone& gone) {
  for (Round* round : std::vector<Round*>(live_)) {
    const RoundState before = round->state();
    round->on_criu_gone(gone, from.id, from.now, from.out);
    if (round->state() != before) touched(*round, before, from.now, from.out);
  }
}

void BrokerCore::on(const Sender& from, const Ready& ready) {
  with_member(from, place_of(from.message, nullptr), [&](Round& round, const MemberId& member) {
    round.on_ready(member, ready, from.id, from.message.sequence, directory_, from.now, from.out);
  });
}

// --- what the command line says -------------------------------------------------------------------------------------

void BrokerCore::on(const Sender& from, const OpenRound& open) {
  const Message& message = from.message;
  if (const Round* known = find(message.round)) return answer_status(from, *known);  // said again
  if (message.round.empty() || message.group.empty()) return refuse(from, "a round needs an id and a group");
  const auto round = open_round(message.round, message.group, open, {}, from.now, from.out);
  if (!round) return refuse(from, round.error().detail);
  (*round)->set_client(from.id);
  answer_status(from, **round);
}

std::optional<std::string> BrokerCore::why_not_open(const GroupId& group, const OpenRound& open) {
  if (const auto wrong = check_plan(open)) return wrong;
  // A dead agent's lock has to hold until its death has been noticed, and what was decided before has been done.
  if (milliseconds(open.lease_ms) < kLeastLease * settings_.silence) {
    return "the lease (" + std::to_string(open.lease_ms) + " ms) must be at least " + std::to_string(kLeastLease) +
           " times the broker's silence (" + std::to_string(settings_.silence.count()) +
           " ms); set `lease` in the group's file to " + std::to_string(least_lease_ms(settings_.silence)) +
           "ms or more";
  }
  if (!recovered_) {
    const auto left = journal_.unfinished();
    return "no round can be opened: " + (left ? "the journal is read only now" : left.error().message());
  }
  for (const Round* live : live_) {
    if (live->in_doubt()) {
      return "no round can be opened: the journal has failed in round " + live->id().value + ": " +
             live->summary().reason;
    }
    if (live->group() == group) {
      return "round " + live->id().value + " of group " + group.value +
             " is still open; wait for its end or abort it: lockstep abort " + live->id().value;
    }
  }
  return std::nullopt;
}

Result<Round*> BrokerCore::open_round(const RoundId& id, const GroupId& group, const OpenRound& plan,
                                      const std::string& by, TimePoint now, Outbox& out) {
  if (auto why = why_not_open(group, plan)) return fail(ErrorCode::refused, "open a round", std::move(*why));
  return enter_round(id, group, plan, by, now, out);
}

Result<Round*> BrokerCore::enter_round(const RoundId& id, const GroupId& group, const OpenRound& plan,
                                       const std::string& by, TimePoint now, Outbox& out) {
  const auto up = std::chrono::duration_cast<milliseconds>(now - started_).count();
  JournalRound begin{id, group, plan, started_unix_ms_ + up, false};
  if (auto kept = journal_.open(begin); !kept) {
    return fail(ErrorCode::refused, "open a round", "no round can be opened: " + kept.error().message());
  }
  ++counters_.rounds_opened;
  out.log(LogLevel::info, "round " + id.value + " opened" + by + ": " + std::string(to_string(plan.operation)) +
                              " of group " + group.value + ", " + std::to_string(plan.members.size()) + " members");
  Round& round = take_in(std::move(begin), now);
  touched(round, RoundState::open, now, out);
  return &round;
}

// --- rounds started from outside ------------------------------------------------------------------------------------

bool BrokerCore::answer_of_former(const Sender& from, const HookEvent& event) {
  for (auto id = order_.rbegin(); id != order_.rend(); ++id) {
    const Round& former = *find(*id);
    const auto member = former.over() ? former.member_of_criu(event) : std::nullopt;
    if (!member) continue;
    Message end = former.over_message();  // it has not heard it yet, and does not know that it means it
    end.member = *member;
    end.sequence = from.message.sequence;
    from.out.send(from.id, std::move(end));
    return true;
  }
  return false;
}

std::optional<BrokerCore::Place> BrokerCore::begin_from_outside(const Sender& from, const HookEvent& event) {
  const StandingGroups::Match match = standing_.find(from.message, event);
  const auto refused = [&](const std::string& reason) {
    const std::string who =
        from.message.member.empty() ? "container " + event.container : "member " + from.message.member.value;
    refusals_.tell("refused " + std::string(to_string(event.action)) + " of " + who + ": " + reason, from.now,
                   from.out);
    answer_abort(from, reason);
    return std::nullopt;
  };
  if (!match.doubt.empty()) return refused(match.doubt + "; name group and member (lockstep.member, LOCKSTEP_GROUP)");
  if (match.group == nullptr && event.dependencies.empty()) return Place();  // nobody expects it
  // What a node's key says of another node's pods has been looked at; here it has to say whose pod this is.
  if (from.who.access == Access::agent && event.pod.boot_id.empty()) {
    return refused(from.who.name + " may open a round only for a pod of its own node, and tells none");
  }
  if (match.group == nullptr) {
    gather(from, event);
    return std::nullopt;
  }
  OpenRound plan = match.group->plan;
  plan.operation = operation_of(event.action);
  if (plan.operation == Operation::restore) plan.order = MemberOrder::detect;  // it tells how dumps go
  const std::string by = " by " + std::string(to_string(event.action)) + " of member " + match.member.value;
  const auto round = open_own_round(match.group->group, plan, by, from.who, from.now, from.out);
  if (!round) return refused(round.error().detail);
  return Place{*round, match.member};
}

Result<Round*> BrokerCore::open_own_round(const GroupId& group, const OpenRound& plan, const std::string& by,
                                          const Identity& who, TimePoint now, Outbox& out) {
  if (!openings_.has_room(who.id, now)) {
    return fail(ErrorCode::refused, "open a round",
                "no round can be opened: hooks " + (who.name.empty() ? "" : "of " + who.name + " ") + "have opened " +
                    std::to_string(openings_.limit()) + " within a minute; try again later");
  }
  if (auto why = why_not_open(group, plan)) return fail(ErrorCode::refused, "open a round", std::move(*why));
  openings_.count(who.id, now);  // what the disk does not take has cost writes as well
  const RoundId id(settings_.own_rounds + "-" + std::to_string(++own_rounds_));
  return enter_round(id, group, plan, by, now, out);
}

void BrokerCore::gather(const Sender& from, const HookEvent& event) {
  const MemberId& member = from.message.member;
  if (!is_valid_name(member.value)) return answer_abort(from, "it names those that it belongs with, but not itself");
  for (const MemberId& other : event.dependencies) {
    if (!is_valid_name(other.value)) return answer_abort(from, "one of those that it names has no valid name");
  }
  for (const Round* live : live_) {
    if (live->plan().operation != operation_of(event.action)) continue;
    for (const MemberId& other : event.dependencies) {
      if (!live->has_member(other)) continue;
      if (live->has_member(member)) {
        return answer_abort(from, "round " + live->id().value +
                                      ", which was decided before the broker was restarted, " +
                                      "is still being finished, with this member; try again");
      }
      // That one's CRIU is on its way without this one.
      return answer_abort(from, "member " + other.value + " is in round " + live->id().value + " already, where " +
                                    member.value + " is not; let each name the other as a dependency");
    }
  }
  auto added = gathering_.add({from.id, from.who, from.message, from.now}, milliseconds(Deadlines().prepare_ms));
  if (!added.refused.empty()) return answer_abort(from, std::move(added.refused));
  if (!added.set.empty()) return open_gathered(std::move(added.set), from.who, from.now, from.out);
  const auto left = std::chrono::duration_cast<milliseconds>(added.deadline - from.now).count();
  answer(from, Pending{Phase::prepare, static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0))});
}

void BrokerCore::open_gathered(std::vector<KeptEvent> set, const Identity& who, TimePoint now, Outbox& out) {
  OpenRound plan;
  plan.lease_ms = std::max(plan.lease_ms, least_lease_ms(settings_.silence));
  std::vector<MemberId> ids;
  GroupId group;
  for (const KeptEvent& kept : set) {
    const auto& event = std::get<HookEvent>(kept.message.body);
    plan.operation = operation_of(event.action);
    RoundMember& member = plan.members.emplace_back();
    member.id = kept.message.member;
    member.container = event.container;
    member.pod_uid = event.pod_uid;
    ids.push_back(member.id);
    // A restore's records know their group's name; whether they agree is looked at as in every round.
    if (group.empty()) group = kept.message.group;
  }
  if (group.empty()) group = group_of(ids);
  const auto round = open_own_round(group, plan, " by hooks that name each other", who, now, out);
  for (const KeptEvent& kept : set) {
    const Sender from{kept.from, kept.message, now, out, kept.who};
    if (!round) {
      answer_abort(from, round.error().detail);
    } else {
      take_event(from, std::get<HookEvent>(kept.message.body), {*round, kept.message.member});
    }
  }
}

void BrokerCore::answer_abort(const Sender& from, std::string reason) {
  answer(from, Release{Operation::dump, Phase::prepare, Verdict::abort, std::move(reason), from.message.member, true});
}

Round& BrokerCore::take_in(JournalRound begin, TimePoint now) {
  const RoundId id = begin.id;
  members_ += begin.plan.members.size();
  Round& round = *rounds_.emplace(id, std::make_unique<Round>(std::move(begin), journal_, now)).first->second;
  live_.push_back(&round);
  order_.push_back(id);
  return round;
}

void BrokerCore::on(const Sender& from, const AbortRound& abort) {
  Round* round = find(from.message.round);
  if (round == nullptr) return refuse(from, "no round " + from.message.round.value);
  const RoundState before = round->state();
  round->abort(abort.reason.empty() ? "aborted by the operator" : abort.reason, {}, from.now, from.out);
  touched(*round, before, from.now, from.out);
  answer_status(from, *round);
}

template <class Tell>
void BrokerCore::take_client_word(const Sender& from, const Tell& tell) {
  Round* round = find(from.message.round);
  if (round == nullptr || !round->has_member(from.message.member)) {
    return refuse(from, "no round " + from.message.round.value + " with member " + from.message.member.value);
  }
  const RoundState before = round->state();
  tell(*round);
  touched(*round, before, from.now, from.out);
  // How CRIU or a command ended is often told after the round's end.
  if (round->over() && before == round->state()) {
    from.out.archive(Message{round->id(), round->group(), {}, 0, round->status()});
  }
  answer_status(from, *round);
}

void BrokerCore::on(const Sender& from, const MemberResult& result) {
  if (find(from.message.round) == nullptr) return on_late_result(from, result);
  take_client_word(from, [&](Round& round) {
    round.on_member_result(from.message.member, result, from.now, from.out);
  });
}

void BrokerCore::on(const Sender& from, const CommandReport& report) {
  take_client_word(from, [&](Round& round) {
    round.on_command_report(from.message.member, report, from.id, directory_, from.now, from.out);
  });
}

void BrokerCore::on_late_result(const Sender& from, const MemberResult& result) {
  auto last_word = journal_.find(from.message.round);
  if (!last_word) return refuse(from, last_word.error().message());
  auto* status = *last_word ? std::get_if<RoundStatus>(&(*last_word)->body) : nullptr;
  const auto member = status == nullptr ? std::vector<MemberStatus>::iterator()
                                        : std::ranges::find(status->members, from.message.member, &MemberStatus::id);
  if (status == nullptr || member == status->members.end()) {
    return refuse(from, "no round " + from.message.round.value + " with member " + from.message.member.value);
  }
  if (member->criu == CriuOutcome::running) {
    member->criu = result.ok ? CriuOutcome::succeeded : CriuOutcome::failed;
    member->detail = result.detail;
    from.out.archive(**last_word);
  }
  Message answer = **last_word;
  answer.member = from.message.member;
  answer.sequence = from.message.sequence;
  from.out.send(from.id, std::move(answer));
}

void BrokerCore::on(const Sender& from, const GetRound& /*get*/) {
  const Message& message = from.message;
  const Round* round = message.round.empty() ? newest_of(message.group) : find(message.round);
  if (round == nullptr && !message.round.empty()) {
    const auto last_word = journal_.find(message.round);
    if (!last_word) return refuse(from, last_word.error().message());
    if (*last_word) {
      Message status = **last_word;
      status.sequence = message.sequence;
      return from.out.send(from.id, std::move(status));
    }
  }
  if (round == nullptr) {
    return refuse(from, message.round.empty() ? "no round of group " + message.group.value
                                              : "no round " + message.round.value);
  }
  answer_status(from, *round);
}

void BrokerCore::on(const Sender& from, const GetStatus& /*get*/) {
  BrokerStatus status{.broker = settings_.name,
                      .up_ms = std::chrono::duration_cast<milliseconds>(from.now - started_).count(),
                      .agents = directory_.agents(from.now),
                      .rounds = {},
                      .counters = counters_};
  if (status.agents.size() > kMaxListed) status.agents.resize(kMaxListed);
  for (auto id = order_.rbegin(); id != order_.rend(); ++id) status.rounds.push_back(find(*id)->summary());
  answer(from, std::move(status));
}

void BrokerCore::on(const Sender& from, const GetHistory& get) {
  auto rounds = journal_.history(from.message.group, std::min<std::size_t>(get.limit, kMaxListed));
  if (!rounds) return refuse(from, rounds.error().message());
  answer(from, History{std::move(*rounds)});
}

template <class Other>
void BrokerCore::on(const Sender& from, const Other& /*other*/) {
  refuse(from, std::string(type_name(from.message.body)) + " is not for a broker");
}

// --- helpers --------------------------------------------------------------------------------------------------------

void BrokerCore::answer(const Sender& from, Body body) {
  const Message& asked = from.message;
  from.out.send(from.id, Message{asked.round, asked.group, asked.member, asked.sequence, std::move(body)});
}

void BrokerCore::refuse(const Sender& from, std::string reason) {
  ++counters_.refused;
  refusals_.tell("refused " + std::string(type_name(from.message.body)) + ": " + reason, from.now, from.out);
  answer(from, Refused{std::move(reason), false});
}

void BrokerCore::answer_status(const Sender& from, const Round& round) {
  from.out.send(from.id, Message{round.id(), round.group(), from.message.member, from.message.sequence, round.status()});
}

Round* BrokerCore::find(const RoundId& id) {
  const auto at = rounds_.find(id);
  return at == rounds_.end() ? nullptr : at->second.get();
}

Round* BrokerCore::newest_of(const GroupId& group) {
  for (auto id = order_.rbegin(); id != order_.rend(); ++id) {
    Round* round = find(*id);
    if (group.empty() || round->group() == group) return round;
  }
  return nullptr;
}

BrokerCore::Place BrokerCore::place_of(const Message& message, const HookEvent* event) {
  const auto by_place = [&](const Round& round) -> std::optional<MemberId> {
    if (event == nullptr) return std::nullopt;
    const auto member = round.member_of_container(event->container);
    return member ? member : round.member_of_pod(event->pod_uid);
  };
  // Ids out of a configuration that is not lockstep's own stand behind what a round says of its containers.
  const bool own_name = event == nullptr || event->dependencies.empty();
  const auto member_in = [&](const Round& round) {
    const bool named = !message.member.empty() && (own_name || round.has_member(message.member));
    return named ? message.member : by_place(round).value_or(message.member);
  };
  if (!message.round.empty()) {
    Round* round = find(message.round);
    return round == nullptr ? Place() : Place{round, member_in(*round)};
  }
  const bool is_last = event == nullptr || event->action == HookAction::network_unlock;
  const auto fits = [&](const Round& live) {
    // Whose CRIUs are not known is not asked again by a hook that has no name for it, but at the very end.
    if (live.taken_over() && !is_last) return false;
    if (!message.group.empty()) return live.group() == message.group;
    if (!message.member.empty() && (own_name || live.has_member(message.member))) return live.has_member(message.member);
    return by_place(live).has_value();
  };
  Round* found = nullptr;
  for (Round* live : live_) {
    if (!fits(*live)) continue;
    if (found != nullptr) {  // never guess
      return {nullptr,
              {},
              "it could be meant for round " + found->id().value + " of group " + found->group().value +
                  ", or for round " + live->id().value + " of group " + live->group().value};
    }
    found = live;
  }
  return found == nullptr ? Place() : Place{found, member_in(*found)};
}

void BrokerCore::touched(Round& round, RoundState before, TimePoint now, Outbox& out) {
  const bool changed = round.state() != before;
  const TimePoint due = changed ? now : now + settings_.status_delay;
  const auto [entry, fresh] = status_due_.emplace(round.id(), due);
  if (!fresh) entry->second = std::min(entry->second, due);
  if (!changed) return;
  // A round may be committed and complete within one message.
  const bool committed = round.state() == RoundState::committed || round.state() == RoundState::complete;
  if (before == RoundState::open && committed) ++counters_.rounds_committed;
  if (round.state() == RoundState::aborted) ++counters_.rounds_aborted;
  if (!round.over()) return;
  out.archive(Message{round.id(), round.group(), {}, 0, round.status()});
  std::erase(live_, &round);
  forget_old(round);
}

void BrokerCore::forget_old(const Round& current) {
  const auto too_many = [this] {
    return order_.size() > settings_.kept_rounds || members_ > settings_.kept_members;
  };
  for (auto id = order_.begin(); id != order_.end() && too_many();) {
    const Round* round = find(*id);
    // One that lives for long must not keep all those after it from being forgotten.
    if (round == &current || !round->over()) {
      ++id;
      continue;
    }
    members_ -= round->size();
    status_due_.erase(*id);
    rounds_.erase(*id);
    id = order_.erase(id);
  }
}

}  // namespace lockstep::broker
