#include "agent/core/lock_book.hpp"

#include <algorithm>
#include <set>

namespace lockstep::agent {

Result<void> LockBook::hold(const PodPlace& place, const Holder& holder, milliseconds lease, TimePoint now) {
  const auto known = locks_.find(place.pod);
  if (known == locks_.end()) {
    if (auto prepared = network_.prepare(place); !prepared) return prepared;
    if (auto armed = network_.arm(place.pod, lease, holder.round); !armed) {
      // IPv4 may be closed already, and everybody runs on once the round is aborted. If this fails too, the lease ends
      // it.
      (void)network_.disarm(place.pod).has_value();
      return armed;
    }
    locks_.emplace(place.pod, Lock{{holder}, lease, now, now + lease / 3});
    return {};
  }
  Lock& lock = known->second;
  if (now >= lock.renewed + lock.lease) {  // on_time() tells its holders; locking again would hide the gap from them
    return fail(ErrorCode::conflict, "lock the pod of member " + holder.member.value, "its earlier lock has run out");
  }
  const milliseconds longest = std::max(lock.lease, lease);
  if (auto renewed = network_.renew(place.pod, longest); !renewed) {
    lock.next_renewal = now;  // if the lock is gone, its other holders have to hear so
    return renewed;
  }
  lock.lease = longest;  // not before: by it on_time() tells when the kernel's has run out
  lock.renewed = now;
  lock.next_renewal = now + lock.lease / 3;
  if (std::ranges::find(lock.holders, holder) == lock.holders.end()) lock.holders.push_back(holder);
  return {};
}

void LockBook::take_over(const PodId& pod, const RoundId& round, milliseconds lease, TimePoint now) {
  locks_[pod] = Lock{{Holder{round, MemberId()}}, lease, now, now + lease / 3};
}

Result<void> LockBook::let_go(const Holder& holder, const PodId& pod) {
  auto done = let_go(holder);
  const auto lock = locks_.find(pod);
  const Holder former{holder.round, MemberId()};
  const bool is_last = lock != locks_.end() && std::ranges::none_of(lock->second.holders, [&](const Holder& other) {
                         return other.round == holder.round && other != former;
                       });
  if (!is_last || std::ranges::find(lock->second.holders, former) == lock->second.holders.end()) return done;
  std::erase(lock->second.holders, former);
  if (!lock->second.holders.empty()) return done;
  locks_.erase(lock);
  auto opened = network_.disarm(pod);
  return done ? opened : done;
}

Result<void> LockBook::let_go(const Holder& holder) {
  for (auto lock = locks_.begin(); lock != locks_.end(); ++lock) {
    std::vector<Holder>& holders = lock->second.holders;
    const auto share = std::ranges::find(holders, holder);
    if (share == holders.end()) continue;
    holders.erase(share);
    if (!holders.empty()) return {};
    const PodId pod = lock->first;
    locks_.erase(lock);
    return network_.disarm(pod);
  }
  return {};
}

Result<void> LockBook::let_go_round(const RoundId& round) {
  Result<void> first;
  for (const Holder& holder : holders_of(round)) {
    auto done = let_go(holder);
    if (!done && first) first = done;
  }
  return first;
}

void LockBook::expect_vote(const Holder& holder, TimePoint now) {
  const auto pod = pod_of(holder);
  if (pod && network_.renews_quickly(*pod)) locks_.at(*pod).next_renewal = now;
}

std::vector<Lapse> LockBook::on_time(TimePoint now) {
  std::vector<Lapse> lapsed;
  for (auto lock = locks_.begin(); lock != locks_.end();) {
    Lock& held = lock->second;
    // A renewal that comes too late would close a pod that has been open in between: the cut is torn already.
    const bool in_time = now < held.renewed + held.lease;
    bool removed = false;
    if (in_time && now >= held.next_renewal) {
      const auto renewed = network_.renew(lock->first, held.lease);
      removed = !renewed && renewed.error().code == ErrorCode::not_found;
      if (renewed) held.renewed = now;
      held.next_renewal = now + held.lease / (renewed ? 3 : 12);
    }
    if (in_time && !removed) {
      ++lock;
      continue;
    }
    for (const Holder& holder : held.holders) lapsed.push_back({holder, removed});
    // Nothing to report: the lock is gone already, and the holders are told so.
    (void)network_.disarm(lock->first).has_value();
    lock = locks_.erase(lock);
  }
  return lapsed;
}

std::optional<TimePoint> LockBook::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& [pod, lock] : locks_) {
    if (!next || lock.next_renewal < *next) next = lock.next_renewal;
  }
  return next;
}

std::optional<PodId> LockBook::pod_of(const Holder& holder) const {
  for (const auto& [pod, lock] : locks_) {
    if (std::ranges::find(lock.holders, holder) != lock.holders.end()) return pod;
  }
  return std::nullopt;
}

std::vector<RoundId> LockBook::rounds() const {
  std::set<RoundId> rounds;
  for (const auto& [pod, lock] : locks_) {
    for (const Holder& holder : lock.holders) rounds.insert(holder.round);
  }
  return {rounds.begin(), rounds.end()};
}

std::vector<Holder> LockBook::holders_of(const RoundId& round) const {
  std::vector<Holder> holders;
  for (const auto& [pod, lock] : locks_) {
    std::ranges::copy_if(lock.holders, std::back_inserter(holders),
                         [&](const Holder& holder) { return holder.round == round; });
  }
  return holders;
}

}  // namespace lockstep::agent
