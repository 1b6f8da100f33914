#include "broker/core/round.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace lockstep::broker {
namespace {

/// What is kept of the notes that a member's agent sends: a status carries those of all members.
constexpr std::size_t kMaxNotes = 64;
constexpr std::size_t kMaxNote = 512;

/// Between two attempts to take a decision back.
constexpr milliseconds kTakeBackRetry{500};

std::string pod_text(const PodId& pod) {
  return "net:[" + std::to_string(pod.netns_inode) + "] of boot " + pod.boot_id.substr(0, 8);
}

std::vector<MemberId> ids_of(const OpenRound& plan) {
  std::vector<MemberId> ids;
  ids.reserve(plan.members.size());
  for (const RoundMember& member : plan.members) ids.push_back(member.id);
  return ids;
}

std::vector<bool> frozen_commands_of(const OpenRound& plan) {
  std::vector<bool> has;
  has.reserve(plan.members.size());
  for (const RoundMember& member : plan.members) has.push_back(member.frozen_commands);
  return has;
}

/// A runtime that ends a container after its dump has taken it away before the round is decided, and that can't be
/// taken back; and one by one there is no moment at which all stand still.
std::optional<std::string> check_order(const OpenRound& plan) {
  if (plan.order != MemberOrder::serial) return std::nullopt;
  const std::string serial = "the members are to be dumped one after another (order: serial), ";
  if (plan.operation == Operation::restore) {
    return serial + "and a restore brings all of them back at once: leave `order` out of it";
  }
  if (!plan.leave_running) {
    return serial +
           "which works only when they are left running: use --leave-running, or `order: parallel` with a "
           "runtime that dumps them at the same time";
  }
  const auto busy = std::ranges::find_if(plan.members, &RoundMember::frozen_commands);
  if (busy == plan.members.end()) return std::nullopt;
  return serial + "so that there is no moment at which all stand still, and member " + busy->id.value +
         " has commands for it: remove them, or use `order: parallel`";
}

bool starts_with_either(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && (a.starts_with(b) || b.starts_with(a));
}

}  // namespace

std::optional<std::string> check_plan(const OpenRound& plan) {
  if (plan.members.empty()) return "a round needs at least one member";
  std::set<MemberId> ids;
  for (const RoundMember& member : plan.members) {
    if (!is_valid_name(member.id.value)) return "member id '" + member.id.value + "' is not a valid name";
    if (!ids.insert(member.id).second) return "member id '" + member.id.value + "' is there twice";
  }
  const Deadlines& limits = plan.deadlines;
  constexpr std::uint32_t kDay = 24 * 3600 * 1000;
  for (const std::uint32_t limit : {limits.prepare_ms, limits.lock_ms, limits.commit_ms, limits.finish_ms}) {
    if (limit == 0 || limit > kDay) return "a deadline must be more than 0 and at most 24 h";
  }
  if (plan.lease_ms < 1000 || plan.lease_ms > 600'000) return "the lease must be between 1 s and 10 min";
  return check_order(plan);
}

Round::Round(JournalRound begin, Journal& journal, TimePoint now)
    : journal_(journal),
      id_(std::move(begin.id)),
      group_(std::move(begin.group)),
      plan_(std::move(begin.plan)),
      book_(plan_),
      records_(ids_of(plan_)),
      hold_(frozen_commands_of(plan_)),
      has_frozen_commands_(std::ranges::any_of(plan_.members, &RoundMember::frozen_commands)),
      pods_(plan_),
      serial_(plan_.order == MemberOrder::serial),
      newest_(now),
      opened_(now),
      opened_unix_ms_(begin.opened_unix_ms) {
  members_.reserve(plan_.members.size());
  for (RoundMember& member : std::exchange(plan_.members, {})) {
    index_.emplace(member.id, members_.size());
    members_.emplace_back().plan = std::move(member);
  }
  if (begin.decided) {
    taken_over_ = true;
    state_ = RoundState::committed;
    phase_index_ = kFinal;
  }
  phase_deadline_ = now + phase_limit(phase_index_);
}

// --- what happens ---------------------------------------------------------------------------------------------------

void Round::on_hook_event(const MemberId& id, const HookEvent& event, const PeerId& from, std::uint64_t sequence,
                          const Directory& directory, TimePoint now, Outbox& out) {
  Member& member = *find(id);
  if (state_ == RoundState::aborted) return out.send(from, over_message());
  if (const auto wrong = stranger(member, event)) {
    if (state_ == RoundState::open) return abort(*wrong, id, now, out);
    return refuse_hook(id, event, *wrong, from, sequence, out);
  }
  if (over()) return out.send(from, over_message());
  member.relay = from;
  member.seen = now;
  if (event.root_pid != 0) member.root_pid = event.root_pid;
  const std::size_t at = place_of(phase_of(event.action));
  if (at == kFinal && went_early(member)) {
    member.left_early = true;
    return release_alone(member, at, from, sequence, now, out);
  }
  if (state_ == RoundState::open && plan_.operation == Operation::dump && event.action == HookAction::network_unlock) {
    // CRIU runs network-unlock without post-dump when a dump has failed (cr-dump.c, cr_dump_finish).
    return abort("CRIU's dump has failed (network-unlock without post-dump); see its log", id, now, out);
  }
  if (is_late(member, at)) return on_late_hook(member, event, at, from, sequence, directory, now, out);
  if (at < phase_index_) return answer_again(member, at, from, sequence, now, out);
  if (auto wrong = objection(member, event)) {
    if (state_ == RoundState::open) return abort(*wrong, id, now, out);
    return refuse_hook(id, event, *wrong, from, sequence, out);
  }

  PhaseTimes& times = member.times[phase_index_];
  if (times.arrived_us < 0 && at == kPrepare) newest_ = now;
  if (times.arrived_us < 0) times.arrived_us = since_opened_us(now);
  if (!event.socket_inodes.empty()) member.socket_inodes = event.socket_inodes;
  if (at == kFinal) {
    for (Member* other : left_behind_by(member)) order(*other, kFinal, directory, now, out);
    if (over()) return out.send(from, over_message());
  }
  if (at == kCommit && on_serial_vote(member, from, sequence, now, out)) return;
  if (member.ready[phase_index_]) return answer_again(member, at, from, sequence, now, out);
  if (phase_index_ == kCommit && !hold_.done()) return hold(member, from, sequence, now, out);
  if (event.action == HookAction::pre_restore) return settle_records(member, from, sequence, directory, now, out);
  order(member, at, directory, now, out);
}

void Round::on_ready(const MemberId& id, const Ready& ready, const PeerId& from, std::uint64_t sequence,
                     const Directory& directory, TimePoint now, Outbox& out) {
  Member& member = *find(id);
  if (over()) {
    out.send(from, over_message());
    return;
  }
  // A round that this broker has taken over from its former self does not know yet whom that had given orders.
  if (member.owner.empty() && state_ == RoundState::committed) {
    if (const Peer* owner = directory.owner_of(member.plan.pod)) {
      member.owner = owner->id;
      member.owner_name = owner->hello.name;
    }
  }
  // Only who was given an order can answer it.
  if (from != member.owner && from != member.relay) return;
  if (!ready.ok && state_ == RoundState::open) {
    return abort(std::string(to_string(ready.phase)) + " refused: " + ready.reason, id, now, out);
  }
  const std::size_t at = place_of(ready.phase);
  // An agent cannot be ahead of the barrier, nor of its member's hook: not an answer to an order of ours. Only the last
  // share of a lock may be given back unasked.
  if (at > phase_index_ || (at != kFinal && member.times[at].arrived_us < 0)) return;
  if (at == kCommit && !hold_.done()) return;
  const bool late = is_late(member, at);
  if (at == kCommit && went_early(member) && state_ == RoundState::open) {
    return release_alone(member, at, from, sequence, now, out);
  }
  if ((at < phase_index_ && !late) || member.ready[at]) return answer_again(member, at, from, sequence, now, out);
  if (!ready.ok) {
    reason_ = "unlock failed: " + ready.reason;
    culprit_ = id;
  }
  take_tables(member, ready);
  const bool was_labelled = labelled_;
  member_ready(member, at, now, out);
  if (serial_ && labelled_ && !was_labelled && state_ == RoundState::open) order_votes(directory, now, out);
}

void Round::take_tables(Member& member, const Ready& ready) {
  const std::size_t place = index_.at(member.plan.id);
  for (const std::string& note : ready.notes) {
    if (member.notes.size() == kMaxNotes) break;
    member.notes.push_back(member.notes.size() + 1 < kMaxNotes ? note.substr(0, kMaxNote) : "and more");
  }
  if (ready.phase == Phase::lock) {
    member.pod_addresses = ready.addresses;
    if (plan_.operation == Operation::dump)
      book_.add_table(place, member.plan.pod, ready.addresses, ready.sockets, ready.nat);
  }
  if (ready.phase == Phase::commit && plan_.operation == Operation::restore) {
    book_.add_found(place, member.pod_addresses, ready.sockets, ready.closed);
  }
  const bool table_came = (ready.phase == Phase::lock) == (plan_.operation == Operation::dump);
  if (table_came && !ready.sockets.empty()) member.socket_count = static_cast<std::uint32_t>(ready.sockets.size());
}

void Round::on_hook_gone(const MemberId& id, const HookGone& gone, const PeerId& from, TimePoint now, Outbox& out) {
  const Member& member = *find(id);
  const std::size_t at = place_of(phase_of(gone.action));
  // A hook that was killed after its barrier opened, or one that another hook of the member has replaced, decides
  // nothing. (One that went early, and whose agent has not answered it, does: CRIU takes its dump for failed.)
  const bool waits = at == phase_index_ || waits_at(member, at);
  if (state_ != RoundState::open || !waits || member.relay != from) return;
  abort("hook " + std::string(to_string(gone.action)) + " was killed before its answer", id, now, out);
}

void Round::on_criu_gone(const CriuGone& gone, const PeerId& from, TimePoint now, Outbox& out) {
  if (state_ != RoundState::open || gone.criu_pid == 0) return;
  for (const Member& member : members_) {
    if (member.relay != from || member.criu_pid != gone.criu_pid || member.criu_start != gone.criu_start) continue;
    if (member.left_early) continue;  // its work is done; whether it was done well its client tells
    return abort("CRIU has ended before the decision: it has failed or was killed", member.plan.id, now, out);
  }
}

void Round::on_member_result(const MemberId& id, const MemberResult& result, TimePoint now, Outbox& out) {
  Member& member = *find(id);
  if (member.criu != CriuOutcome::running) return;
  member.criu = result.ok ? CriuOutcome::succeeded : CriuOutcome::failed;
  member.detail = result.detail;
  member.seen = now;
  if (state_ == RoundState::open && result.ok && went_early(member)) return;
  if (state_ == RoundState::open) {
    return abort(result.ok ? "CRIU has ended without running the hooks; is the action script set?"
                           : "CRIU has failed: " + result.detail,
                 id, now, out);
  }
  if (state_ != RoundState::committed) return;
  if (!result.ok && reason_.empty()) {
    reason_ = "CRIU has failed after the commit: " + result.detail;
    culprit_ = id;
  }
  // CRIU is done: after dump-and-kill it runs no network-unlock, and there is nothing left that the lock could protect.
  if (phase_index_ != kFinal || went_early(member)) return;
  for (Member* other : left_behind_by(member)) order_unlock(*other, now, out);
  if (!over() && !member.ready[kFinal]) order_unlock(member, now, out);
}

void Round::on_command_report(const MemberId& id, const CommandReport& report, const PeerId& from,
                              const Directory& directory, TimePoint now, Outbox& out) {
  Member& member = *find(id);
  client_ = from;
  if (report.moment == CommandMoment::frozen) hold_.heard(now);
  const bool told = member.commands_told[static_cast<std::size_t>(report.moment)];
  if (report.state == CommandState::running || told) return;
  member.commands_told[static_cast<std::size_t>(report.moment)] = true;
  const std::size_t room = kMaxCommands - std::min(member.commands.size(), kMaxCommands);
  member.commands.insert(member.commands.end(), report.commands.begin(),
                         report.commands.begin() + static_cast<std::ptrdiff_t>(std::min(room, report.commands.size())));
  if (state_ != RoundState::open) return;
  if (report.state == CommandState::failed) {
    const std::string what =
        report.commands.empty() ? "" : " `" + report.commands.back().command + "`: " + report.commands.back().output;
    return abort("command (" + std::string(to_string(report.moment)) + ") failed" + what, id, now, out);
  }
  if (report.moment != CommandMoment::frozen || !hold_.succeeded(index_.at(id), now)) return;
  hold_end_us_ = since_opened_us(now);
  for (Member& each : members_) {
    if (state_ == RoundState::open) order(each, kCommit, directory, now, out);
  }
}

void Round::on_peer_lost(const PeerId& peer, const std::string& name, const std::string& why, TimePoint now,
                         Outbox& out) {
  for (Member& member : members_) {
    if (over()) return;
    // A relay is missed only while it carries a hook that waits: one that has ended with its hook goes unmourned.
    const bool carries_hook = member.relay == peer && (waits_at(member, phase_index_) || waits_at(member, kLock));
    if (member.owner != peer && !(carries_hook && state_ == RoundState::open)) continue;
    const std::string reason = "agent " + name + " " + why;
    if (state_ == RoundState::open) return abort(reason, member.plan.id, now, out);
    if (member.ready[kFinal]) continue;
    if (plan_.operation == Operation::dump && !plan_.leave_running && member.criu == CriuOutcome::running) {
      // Its tasks may still be there, and whoever takes the agent's place keeps their lock until they are not: the
      // round's end would open it.
      member.owner = PeerId();
      continue;
    }
    reason_ = reason + "; the pod's lock ends with its lease";
    culprit_ = member.plan.id;
    member_ready(member, kFinal, now, out);
  }
}

bool Round::concerns(const std::string& boot_id) const {
  return std::ranges::any_of(members_, [&](const Member& member) {
    return member.plan.pod.boot_id.empty() || member.plan.pod.boot_id == boot_id;
  });
}

void Round::on_found_lock(const PeerId& from, const std::string& name, const Directory& directory, TimePoint now,
                          Outbox& out) {
  if (state_ == RoundState::open) {
    const auto own = std::ranges::find_if(members_, [&](const Member& member) {
      const Peer* owner = directory.owner_of(member.plan.pod);
      return owner != nullptr && owner->id == from;
    });
    return abort("agent " + name + " was restarted in mid-round; it has found its pod's lock",
                 own == members_.end() ? MemberId() : own->plan.id, now, out);
  }
  if (state_ != RoundState::committed) return;
  for (Member& member : members_) {
    const Peer* owner = directory.owner_of(member.plan.pod);
    if (owner == nullptr || owner->id != from || member.ready[kFinal]) continue;
    member.owner = from;
    member.owner_name = name;
    // A broker that was restarted itself does not know the tree's sockets: without them the lock's end is CRIU's, or
    // the round's.
    if (taken_over_ && plan_.operation == Operation::dump) continue;
    out.send(from, message(member.plan.id, 0, make_order(member, Phase::lock)));
  }
}

void Round::on_hello_again(const PeerId& peer, const std::string& name, TimePoint now, Outbox& out) {
  for (const Member& member : members_) {
    // Before the lock nothing is lost, and an agent that has just started says Hello until it is answered.
    if (member.owner != peer || !member.ready[kLock]) continue;
    return abort("agent " + name + " has not heard this broker for too long; its pod may have been open",
                 member.plan.id, now, out);
  }
}

void Round::on_deadline(TimePoint now, Outbox& out) {
  if (over()) return;
  if (const auto silent = hold_.deadline(); silent && now >= *silent && state_ == RoundState::open) {
    return abort("the client has not been heard for " + std::to_string(kClientSilence.count()) +
                     " ms while its members' commands had to run; was it killed?",
                 {}, now, out);
  }
  if (const auto serial = detection(); serial && now >= *serial) return become_serial(now, out);
  if (const auto due = next_member_due(); due && now >= *due) {
    MemberId first;
    const std::string missing = missing_text(first);
    return abort("the next container of a pod has not come within " + std::to_string(plan_.deadlines.prepare_ms) +
                     " ms after the one before it; waiting for " + missing +
                     "; where a runtime needs longer in between, raise the group's deadline of prepare",
                 first, now, out);
  }
  if (now < phase_deadline_) return;
  if (in_doubt()) return take_back(now, out);
  MemberId first;
  const std::string missing = missing_text(first);
  const auto limit = std::chrono::duration_cast<milliseconds>(phase_limit(phase_index_)).count();
  const std::string reason = "deadline of phase " + std::string(to_string(phase())) + " (" + std::to_string(limit) +
                             " ms) is over; waiting for " + missing + serial_hint();
  if (state_ == RoundState::open) return abort(reason, first, now, out);
  reason_ = reason;
  culprit_ = first;
  finish(now, out);
}

std::string Round::missing_text(MemberId& first) const {
  std::string missing;
  std::size_t count = 0;
  for (const Member& member : members_) {
    if (member.ready[phase_index_]) continue;
    if (first.empty()) first = member.plan.id;
    if (++count > 5) continue;
    const bool arrived = member.times[phase_index_].arrived_us >= 0;
    const bool held = phase_index_ == kCommit && !hold_.done();
    const bool waits_for_others = arrived && serial_ && phase_index_ == kCommit && !labelled_ && !member.early;
    missing += (missing.empty() ? "" : ", ") + member.plan.id.value +
               (!member.owner_name.empty() && member.owner.empty() ? " (its agent " + member.owner_name + " was lost)"
                : !arrived                                         ? " (its hook has not come)"
                : held                                             ? " (its commands have not ended)"
                : waits_for_others                                 ? " (it waits for others' tables)"
                : member.wants_companion ? " (its images count only beside those of another container of its pod)"
                                         : " (its agent " + member.owner_name + " has not answered)");
  }
  if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
  return missing;
}

void Round::abort(const std::string& reason, const MemberId& culprit, TimePoint now, Outbox& out) {
  if (state_ != RoundState::open || in_doubt()) return;
  state_ = RoundState::aborted;
  reason_ = reason.substr(0, kMaxText / 2);
  culprit_ = culprit;
  forget_tables();
  out.log(LogLevel::warning, "round " + id_.value + " of group " + group_.value + " aborted in phase " +
                                 std::string(to_string(phase())) + " after " +
                                 std::to_string(since_opened_us(now) / 1000) + " ms: " + reason_ +
                                 (culprit.empty() ? "" : " (member " + culprit.value + ")"));
  tell_everyone(over_message(), out);
}

// --- orders and barriers --------------------------------------------------------------------------------------------

std::optional<std::string> Round::stranger(Member& member, const HookEvent& event) const {
  const bool right_operation =
      event.action == HookAction::network_unlock || operation_of(event.action) == plan_.operation;
  if (!right_operation) {
    return "hook " + std::string(to_string(event.action)) + " came, but the round is a " +
           std::string(to_string(plan_.operation));
  }
  if (event.criu_pid == 0) return std::nullopt;
  // A round that this broker has found decided learns it from whoever comes first, be that after its end; any other one
  // from nobody's but the first hook.
  const bool tells = taken_over_ || has_come(member) || phase_of(event.action) == Phase::prepare;
  if (member.criu_pid == 0 && !tells) return std::nullopt;
  if (member.criu_pid == 0 && (!over() || event.in_doubt)) {
    member.criu_pid = event.criu_pid;
    member.criu_start = event.criu_start;
    member.criu_boot = event.pod.boot_id;
  }
  if (member.criu_pid == event.criu_pid && member.criu_start == event.criu_start) return std::nullopt;
  return "CRIU process " + std::to_string(event.criu_pid) + " came, this round is that of process " +
         std::to_string(member.criu_pid) + "; every checkpoint and restore needs a round of its own";
}

std::optional<std::string> Round::objection(Member& member, const HookEvent& event) {
  const std::size_t at = place_of(phase_of(event.action));
  if (serial_ && state_ == RoundState::open && at > kPrepare && at <= kCommit && !member.ready[at - 1]) {
    return "hook " + std::string(to_string(event.action)) + " came before the one before it was let go";
  }
  if (at > phase_index_) {
    return "hook " + std::string(to_string(event.action)) + " came while the round (" +
           std::string(to_string(plan_.operation)) + ") waits in phase " + std::string(to_string(phase())) +
           "; a tree that shares CRIU's network namespace gets no network-lock";
  }
  if (event.pod.known()) {
    if (member.plan.pod.known() && member.plan.pod != event.pod) {
      return "its tree is in pod " + pod_text(event.pod) + ", the round expects it in " + pod_text(member.plan.pod);
    }
    member.plan.pod = event.pod;
    pods_.place(index_.at(member.plan.id), event.pod);
  }
  if (event.action == HookAction::pre_restore) return record_objection(member, event);
  return std::nullopt;
}

std::optional<std::string> Round::record_objection(Member& member, const HookEvent& event) {
  if (!member.images_round.empty()) return std::nullopt;
  if (event.record.empty()) return "its images folder holds no record of a committed round";
  auto record = decode_record(event.record.bytes);
  if (!record) return record.error().message();
  if (record->group != group_ || record->member != member.plan.id) {
    return "its images belong to member " + record->member.value + " of group " + record->group.value;
  }
  if (record->round.empty()) return "its record names no round";
  const std::set<MemberId> recorded(record->members.begin(), record->members.end());
  const bool same_members = recorded.size() == members_.size() && std::ranges::all_of(members_, [&](const Member& m) {
                              return recorded.contains(m.plan.id);
                            });
  if (!same_members) return "its images were made in a round of other members (round " + record->round.value + ")";
  for (const Member& other : members_) {
    if (!other.images_round.empty() && other.images_round != record->round) {
      return "its images are of round " + record->round.value + ", those of member " + other.plan.id.value +
             " of round " + other.images_round.value;
    }
  }
  member.images_round = record->round;
  book_.add_record(index_.at(member.plan.id), std::move(*record));
  return std::nullopt;
}

void Round::order(Member& member, std::size_t at, const Directory& directory, TimePoint now, Outbox& out) {
  // A runtime's pre-restore comes before anybody knows the pod; the lock order prepares it as well.
  if (at == kPrepare && plan_.operation == Operation::restore && !member.plan.pod.known()) {
    return member_ready(member, at, now, out);
  }
  const bool store = at == kCommit && plan_.operation == Operation::dump;
  const Peer* owner = store ? directory.find(member.relay) : directory.owner_of(member.plan.pod);
  if (owner == nullptr) {
    const std::string reason = "no agent owns pod " + pod_text(member.plan.pod) +
                               "; start an agent in the pod (--pod self) or on its machine (--node)";
    if (state_ == RoundState::open) return abort(reason, member.plan.id, now, out);
    reason_ = reason + "; the pod's lock ends with its lease";
    culprit_ = member.plan.id;
    return member_ready(member, at, now, out);
  }
  if (!store) {
    member.owner = owner->id;
    member.owner_name = owner->hello.name;
  }
  out.send(owner->id, message(member.plan.id, 0, make_order(member, phases_of(plan_.operation)[at])));
}

void Round::hold(const Member& member, const PeerId& to, std::uint64_t sequence, TimePoint now, Outbox& out) {
  if (hold_.arrived(index_.at(member.plan.id), now)) {
    hold_begin_us_ = since_opened_us(now);
    // Tasks stand still: the client is told now, and finds it in every later status if this one gets lost.
    if (!client_.empty()) out.send(client_, message({}, 0, status()));
  }
  answer_again(member, kCommit, to, sequence, now, out);
}

void Round::order_unlock(Member& member, TimePoint now, Outbox& out) {
  if (!member.owner.empty()) return out.send(member.owner, message(member.plan.id, 0, make_order(member, phase())));
  if (member.owner_name.empty()) return;  // a former broker's orders: whoever has them will tell
  reason_ = "agent " + member.owner_name + " was lost after the commit; the pod's lock ends with its lease";
  culprit_ = member.plan.id;
  member_ready(member, kFinal, now, out);
}

Order Round::make_order(const Member& member, Phase phase) const {
  Order order{.phase = phase,
              .operation = plan_.operation,
              .pod = member.plan.pod,
              .root_pid = member.root_pid,
              .netns_path = member.plan.netns_path,
              .lease_ms = plan_.lease_ms,
              .socket_inodes = {},
              .record = {}};
  const std::size_t place = index_.at(member.plan.id);
  const bool dump = plan_.operation == Operation::dump;
  if (order.phase == (dump ? Phase::lock : Phase::commit)) order.socket_inodes = member.socket_inodes;
  if (order.phase == Phase::commit && dump) order.record.bytes = records_.write(make_record(member));
  if (order.phase == Phase::commit && !dump) order.sockets = book_.to_close(place);
  if (order.phase == Phase::prepare && !dump) {
    order.sockets = book_.wanted(place);
    order.addresses = book_.addresses(place);
  }
  return order;
}

JournalRound Round::journal_entry() const {
  JournalRound entry{id_, group_, plan_, opened_unix_ms_, true};
  entry.plan.members.reserve(members_.size());
  for (const Member& member : members_) entry.plan.members.push_back(member.plan);
  return entry;
}

Record Round::make_record(const Member& member) const {
  Record record{.round = id_,
                .group = group_,
                .member = member.plan.id,
                .members = {},  // the writer's
                .pod = member.plan.pod,
                .root_pid = member.root_pid,
                .leave_running = plan_.leave_running,
                .opened_unix_ms = opened_unix_ms_,
                .addresses = {},
                .sockets = {}};
  record.conditional = member.early;
  book_.fill(index_.at(member.plan.id), record);
  if (!carries_earlier(member)) return record;
  for (const Member& other : members_) {
    if (other.early && share_a_pod(other, member)) record.earlier.push_back(book_.earlier(index_.at(other.plan.id)));
  }
  return record;
}

void Round::member_ready(Member& member, std::size_t at, TimePoint now, Outbox& out) {
  member.ready[at] = true;
  member.times[at].ready_us = since_opened_us(now);
  if (at == kFinal) member.unlocked_us = since_opened_us(now);
  if (at == kCommit && member.early) release_alone(member, at, member.relay, 0, now, out);
  if (at == kLock && at < phase_index_) return on_late_table(member, now, out);
  if (at < phase_index_) return release_alone(member, at, member.relay, 0, now, out);
  ++ready_count_;
  if (barrier_is_full()) open_barrier(now, out);
}

bool Round::barrier_is_full() const {
  if (!serial_) return ready_count_ == members_.size();
  return phase_index_ <= kLock ? each_pod_is_ready(phase_index_) : all_are_ready(phase_index_);
}

void Round::open_barrier(TimePoint now, Outbox& out) {
  if (phase_index_ == kFinal) return finish(now, out);
  if (const auto objection = connection_objection()) {
    return abort(objection->reason, members_[objection->member].plan.id, now, out);
  }
  if (phase_index_ == kCommit) {
    // On the disk before anybody hears of it: a broker that comes back must not decide otherwise.
    if (auto kept = journal_.decide(journal_entry()); !kept) {
      doubt_ = "the decision can't be kept: " + kept.error().message();
      return take_back(now, out);
    }
  }
  for (Member& member : members_) {
    std::int64_t& released = member.times[phase_index_].released_us;
    if (released < 0 && member.ready[phase_index_]) released = since_opened_us(now);
  }
  const std::size_t opened = phase_index_++;
  ready_count_ = 0;
  phase_deadline_ = now + phase_limit(phase_index_);
  if (opened == kCommit) {
    state_ = RoundState::committed;
    out.log(LogLevel::info, "round " + id_.value + " of group " + group_.value + " committed after " +
                                std::to_string(since_opened_us(now) / 1000) + " ms");
    forget_tables();
  }
  if (!serial_ || opened == kCommit) return out.publish(kReleaseTopic, message({}, 0, release_of(opened)));
  // Not on PUB: that would let go whoever of a pod has just come, and whose own order is not done.
  for (Member& member : members_) {
    if (member.ready[opened]) release_alone(member, opened, member.relay, 0, now, out);
  }
}

bool Round::waits_at(const Member& member, std::size_t at) const {
  return member.times[at].arrived_us >= 0 && member.times[at].released_us < 0;
}

void Round::take_back(TimePoint now, Outbox& out) {
  // The disk may have kept it all the same, and whoever comes after this broker would then say commit to one who has
  // been told to abort.
  if (auto taken = journal_.undecide(id_); !taken) {
    const bool news = reason_.empty();
    reason_ = doubt_ + "; it can't be taken back either, and is tried again: its members wait";
    phase_deadline_ = now + kTakeBackRetry;
    if (news) out.log(LogLevel::warning, "round " + id_.value + ": " + reason_ + ": " + taken.error().message());
    return;
  }
  abort(std::exchange(doubt_, {}), {}, now, out);
}

std::optional<ConnectionBook::Objection> Round::connection_objection() {
  if (plan_.operation == Operation::dump) {
    if (phase_index_ != kLock || !all_are_ready(kLock)) return std::nullopt;
    labelled_ = true;
    return book_.classify();
  }
  if (phase_index_ != kCommit) return std::nullopt;
  differences_ = book_.differences();
  auto objection = book_.objection_to(differences_);
  // Here, not only with the tables: a status may be asked for while the decision can't be kept.
  if (differences_.size() > kMaxDifferences) differences_.resize(kMaxDifferences);
  return objection;
}

void Round::forget_tables() {
  book_.forget_tables();
  for (Member& member : members_) {
    member.pod_addresses = {};
    // A restarted agent needs them, to know when the tasks of a killed member are gone.
    if (state_ != RoundState::committed || plan_.operation == Operation::restore) member.socket_inodes = {};
  }
}

void Round::finish(TimePoint now, Outbox& out) {
  for (Member& member : members_) {
    if (member.ready[kFinal]) member.times[kFinal].released_us = since_opened_us(now);
  }
  state_ = RoundState::complete;
  forget_tables();
  const std::string problem = reason_.empty() ? "" : ", but: " + reason_;
  out.log(problem.empty() ? LogLevel::info : LogLevel::warning,
          "round " + id_.value + " complete after " + std::to_string(since_opened_us(now) / 1000) + " ms" + problem);
  if (problem.empty()) {
    out.publish(kReleaseTopic, over_message());
  } else {
    tell_everyone(over_message(), out);
  }
}

void Round::answer_again(const Member& member, std::size_t at, const PeerId& to, std::uint64_t sequence, TimePoint now,
                         Outbox& out) {
  if (at < phase_index_) {
    out.send(to, message(member.plan.id, sequence, release_of(at)));
    return;
  }
  const auto left = std::chrono::duration_cast<milliseconds>(phase_deadline_ - now).count();
  out.send(to, message(member.plan.id, sequence,
                       Pending{phase(), static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0))}));
}

void Round::refuse_hook(const MemberId& member, const HookEvent& event, const std::string& reason, const PeerId& to,
                        std::uint64_t sequence, Outbox& out) const {
  out.log(LogLevel::warning, "round " + id_.value + " refused a hook of member " + member.value + ": " + reason);
  const Release refusal{plan_.operation, phase_of(event.action), Verdict::abort, reason, member, false};
  out.send(to, message(member, sequence, refusal));
}

void Round::tell_everyone(const Message& what, Outbox& out) {
  out.publish(kReleaseTopic, what);
  // An end that is not the common one goes by both ways at once: it is rare, and locks hang on it.
  std::set<PeerId> concerned;
  for (const Member& member : members_) {
    if (!member.owner.empty()) concerned.insert(member.owner);
    if (!member.relay.empty()) concerned.insert(member.relay);
  }
  for (const PeerId& peer : concerned) out.send(peer, what);
}

// --- reading --------------------------------------------------------------------------------------------------------

Round::Member* Round::find(const MemberId& id) {
  const auto at = index_.find(id);
  return at == index_.end() ? nullptr : &members_[at->second];
}

std::int64_t Round::since_opened_us(TimePoint now) const {
  return std::chrono::duration_cast<microseconds>(now - opened_).count();
}

Message Round::message(const MemberId& member, std::uint64_t sequence, Body body) const {
  return Message{id_, group_, member, sequence, std::move(body)};
}

Release Round::release_of(std::size_t at) const {
  return Release{plan_.operation, phases_of(plan_.operation)[at], Verdict::go, {}, {}, false};
}

Message Round::over_message() const {
  Release release{plan_.operation, phase(), Verdict::go, reason_, culprit_, true};
  if (state_ == RoundState::aborted) release.verdict = Verdict::abort;
  return message({}, 0, release);
}

Message Round::decision_message() const { return message({}, 0, release_of(kCommit)); }

Duration Round::phase_limit(std::size_t at) const {
  const Deadlines& limits = plan_.deadlines;
  const std::array<std::uint32_t, kPhasesPerRound> by_phase{limits.prepare_ms, limits.lock_ms, limits.commit_ms,
                                                            limits.finish_ms};
  return milliseconds(by_phase[at]);
}

std::optional<TimePoint> Round::deadline() const {
  if (over()) return std::nullopt;
  TimePoint next = std::min(phase_deadline_, hold_.deadline().value_or(phase_deadline_));
  next = std::min(next, detection().value_or(next));
  return std::min(next, next_member_due().value_or(next));
}

std::optional<MemberId> Round::member_of_container(const std::string& container) const {
  std::optional<MemberId> found;
  for (const Member& member : members_) {
    if (!starts_with_either(member.plan.container, container)) continue;
    if (found) return std::nullopt;
    found = member.plan.id;
  }
  return found;
}

std::optional<MemberId> Round::member_of_pod(const std::string& pod_uid) const {
  std::optional<MemberId> found;
  for (const Member& member : members_) {
    if (pod_uid.empty() || !member.plan.container.empty() || member.plan.pod_uid != pod_uid) continue;
    if (found) return std::nullopt;
    found = member.plan.id;
  }
  return found;
}

std::optional<MemberId> Round::member_of_criu(const HookEvent& event) const {
  if (event.criu_pid == 0 || !belongs_to(event.action, plan_.operation)) return std::nullopt;
  const auto own = std::ranges::find_if(members_, [&](const Member& member) {
    return member.criu_pid == event.criu_pid && member.criu_start == event.criu_start &&
           member.criu_boot == event.pod.boot_id;
  });
  return own == members_.end() ? std::nullopt : std::optional(own->plan.id);
}

bool Round::awaits(const MemberId& id) const {
  const auto at = index_.find(id);
  return at != index_.end() && !taken_over_ && !has_come(members_[at->second]);
}

RoundStatus Round::status() const {
  RoundStatus status{.operation = plan_.operation,
                     .leave_running = plan_.leave_running,
                     .state = state_,
                     .phase = phase(),
                     .reason = reason_,
                     .culprit = culprit_,
                     .opened_unix_ms = opened_unix_ms_,
                     .members = {},
                     .differences = differences_,
                     .hold_begin_us = hold_begin_us_,
                     .hold_end_us = hold_end_us_,
                     .serial = serial_};
  status.members.reserve(members_.size());
  for (std::size_t place = 0; place < members_.size(); ++place) {
    const Member& member = members_[place];
    status.members.push_back({member.plan.id, member.plan.pod, member.owner_name, member.times, member.unlocked_us,
                              member.socket_count, member.criu, member.detail, book_.counts(place), member.notes,
                              member.commands});
  }
  return status;
}

RoundSummary Round::summary() const {
  return {
      id_,     group_,  plan_.operation, state_, phase(), static_cast<std::uint32_t>(members_.size()), opened_unix_ms_,
      reason_, culprit_};
}

}  // namespace lockstep::broker
