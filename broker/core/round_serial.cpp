// What is different in a round whose members of one pod come one after another (schemas/PROTOCOL.md, "Runtimes that go
// one by one"): the barriers of prepare and lock count pods, and whoever has others of its pod behind it goes early.
#include <algorithm>
#include <map>

#include "broker/core/round.hpp"

namespace lockstep::broker {
namespace {

/// A runtime starts the CRIUs of a pod within some tenths of a second when it starts them at once. Prepare's limit is
/// 10 s: who takes longer has time left for the others, and who was only slow comes late, which costs nothing.
constexpr milliseconds kSerialPatience{2'000};

}  // namespace

// --- whether it is one ----------------------------------------------------------------------------------------------

bool Round::can_be_serial() const {
  return plan_.operation == Operation::dump && plan_.leave_running && !has_frozen_commands_;
}

std::optional<TimePoint> Round::detection() const {
  const bool looks = plan_.order == MemberOrder::detect && state_ == RoundState::open && phase_index_ == kPrepare &&
                     pods_.any_shared() && ready_count_ > 0 && can_be_serial() && !all_have_come();
  if (!looks || !each_pod_is_ready(kPrepare)) return std::nullopt;
  return newest_ + std::min<Duration>(kSerialPatience, phase_limit(kPrepare) / 2);
}

void Round::become_serial(TimePoint now, Outbox& out) {
  MemberId first;
  out.log(LogLevel::info,
          "round " + id_.value + " of group " + group_.value +
              ": the containers of a pod come one after another; its barriers count pods now. Missing: " +
              missing_text(first));
  serial_ = true;
  plan_.order = MemberOrder::serial;  // for the journal: a later broker has to know
  open_barrier(now, out);
}

std::string Round::serial_hint() const {
  if (serial_ || plan_.operation != Operation::dump || phase_index_ != kPrepare) return {};
  if (all_have_come() || !each_pod_is_ready(kPrepare)) return {};
  const std::string seems = "; a runtime seems to dump the containers of a pod one after another, which works ";
  if (!plan_.leave_running)
    return seems + "only when they are left running (--leave-running; in groups.yaml leave_running: true)";
  if (has_frozen_commands_) return seems + "only without commands at the frozen point";
  return seems + "with `order: serial` in the group's file";
}

// --- who shares a pod -----------------------------------------------------------------------------------------------

bool Round::share_a_pod(const Member& a, const Member& b) const {
  return pods_.pod_of(index_.at(a.plan.id)) == pods_.pod_of(index_.at(b.plan.id));
}

bool Round::all_have_come() const {
  return std::ranges::all_of(members_, [this](const Member& member) { return has_come(member); });
}

bool Round::each_pod_is_ready(std::size_t at) const {
  std::vector<bool> ready(pods_.numbers());
  for (std::size_t place = 0; place < members_.size(); ++place) {
    if (members_[place].ready[at]) ready[pods_.pod_of(place)] = true;
  }
  for (std::size_t place = 0; place < members_.size(); ++place) {
    if (!ready[pods_.pod_of(place)]) return false;
  }
  return true;
}

bool Round::all_are_ready(std::size_t at) const {
  return std::ranges::all_of(members_, [&](const Member& member) { return member.ready[at]; });
}

bool Round::went_early(const Member& member) const { return member.early && member.ready[kCommit]; }

bool Round::awaits_others(const Member& member) const {
  return std::ranges::any_of(members_,
                             [&](const Member& other) { return !has_come(other) && share_a_pod(other, member); });
}

bool Round::carries_earlier(const Member& member) const {
  if (!serial_ || member.early) return false;
  const auto first =
      std::ranges::find_if(members_, [&](const Member& other) { return !other.early && share_a_pod(other, member); });
  return first->plan.id == member.plan.id;
}

std::vector<Round::Member*> Round::left_behind_by(const Member& member) {
  std::vector<Member*> others;
  if (!serial_) return others;
  for (Member& other : members_) {
    const bool left = other.early || taken_over_;
    if (left && &other != &member && !other.ready[kFinal] && share_a_pod(other, member)) others.push_back(&other);
  }
  return others;
}

// --- what happens ---------------------------------------------------------------------------------------------------

bool Round::is_late(const Member& member, std::size_t at) const {
  return serial_ && state_ == RoundState::open && at < phase_index_ && !member.ready[at];
}

void Round::on_late_hook(Member& member, const HookEvent& event, std::size_t at, const PeerId& from,
                         std::uint64_t sequence, const Directory& directory, TimePoint now, Outbox& out) {
  if (const auto wrong = objection(member, event)) return abort(*wrong, member.plan.id, now, out);
  // By its namespace, not by its uid: what is locked is a namespace.
  const bool known_pod = std::ranges::any_of(members_, [&](const Member& other) {
    return &other != &member && other.ready[at] && other.plan.pod == member.plan.pod;
  });
  if (!known_pod) {
    return abort("it has come after the barrier of " + std::string(to_string(phases_of(plan_.operation)[at])) +
                     ", from a pod that has no other member: none that is locked",
                 member.plan.id, now, out);
  }
  PhaseTimes& times = member.times[at];
  if (times.arrived_us < 0) times.arrived_us = since_opened_us(now);
  if (!event.socket_inodes.empty()) member.socket_inodes = event.socket_inodes;
  if (at != kPrepare) return order(member, at, directory, now, out);
  // The pod's table stands since its first member came.
  member.ready[kPrepare] = true;
  times.ready_us = since_opened_us(now);
  release_alone(member, kPrepare, from, sequence, now, out);
}

bool Round::on_serial_vote(Member& member, const PeerId& from, std::uint64_t sequence, TimePoint now, Outbox& out) {
  if (!serial_ || state_ != RoundState::open) return false;
  if (went_early(member)) {
    release_alone(member, kCommit, from, sequence, now, out);
    return true;
  }
  member.early = member.early || awaits_others(member);
  if (member.early || labelled_) return false;
  answer_again(member, kCommit, from, sequence, now, out);  // its record would not be whole
  return true;
}

void Round::on_late_table(Member& member, TimePoint now, Outbox& out) {
  if (all_are_ready(kLock)) {
    labelled_ = true;
    if (const auto objection = book_.classify()) {
      return abort(objection->reason, members_[objection->member].plan.id, now, out);
    }
  }
  release_alone(member, kLock, member.relay, 0, now, out);
}

void Round::order_votes(const Directory& directory, TimePoint now, Outbox& out) {
  for (Member& member : members_) {
    const bool waits = waits_at(member, kCommit) && !member.ready[kCommit] && !member.early;
    if (waits && state_ == RoundState::open) order(member, kCommit, directory, now, out);
  }
}

void Round::release_alone(Member& member, std::size_t at, const PeerId& to, std::uint64_t sequence, TimePoint now,
                          Outbox& out) {
  Release release = release_of(at);
  release.early = at == kFinal || (at == kCommit && state_ == RoundState::open);
  std::int64_t& released = member.times[at].released_us;
  if (at != kFinal && released < 0) released = since_opened_us(now);
  out.send(to, message(member.plan.id, sequence, release));
}

std::optional<TimePoint> Round::next_member_due() const {
  if (!serial_ || labelled_ || state_ != RoundState::open || phase_index_ != kCommit) return std::nullopt;
  struct Pod {
    bool awaits = false;
    bool busy = false;
    TimePoint seen;
  };
  std::map<std::size_t, Pod> pods;
  for (std::size_t place = 0; place < members_.size(); ++place) {
    const Member& member = members_[place];
    Pod& pod = pods[pods_.pod_of(place)];
    pod.awaits = pod.awaits || !has_come(member);
    pod.busy = pod.busy || (has_come(member) && !went_early(member));
    pod.seen = std::max(pod.seen, member.seen);
  }
  std::optional<TimePoint> due;
  for (const auto& [number, pod] : pods) {
    const TimePoint own = pod.seen + phase_limit(kPrepare);
    if (pod.awaits && !pod.busy && (!due || own < *due)) due = own;
  }
  return due;
}

}  // namespace lockstep::broker
