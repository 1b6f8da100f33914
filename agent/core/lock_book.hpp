/// Who holds which pod's lock. A pod is locked while it has holders: the first one arms it, the last one disarms it,
/// and the lease is renewed in between. Pure but for PodNetwork; one thread.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <vector>

#include "agent/core/pod_network.hpp"
#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::agent {

/// A member of a round, as a holder of its pod's lock. Without a name: whoever of the round had the lock that a former
/// life of this agent has left.
struct Holder {
  RoundId round;
  MemberId member;
  auto operator<=>(const Holder&) const = default;
};

/// A holder whose lock is gone.
struct Lapse {
  Holder holder;
  bool removed = false;  ///< somebody else has taken it away; else it has run out
  auto operator<=>(const Lapse&) const = default;
};

class LockBook {
 public:
  explicit LockBook(PodNetwork& network) : network_(network) {}

  Result<void> prepare(const PodPlace& place) { return network_.prepare(place); }
  /// Locks the pod for this holder. Said again, it renews.
  Result<void> hold(const PodPlace& place, const Holder& holder, milliseconds lease, TimePoint now);
  /// The pod is prepared, and armed for `lease` from now, in place of a former life's lock for this round.
  void take_over(const PodId& pod, const RoundId& round, milliseconds lease, TimePoint now);
  /// Gives one share back; no error when there is none. On an error the share is given back all the same, and the pod
  /// opens with its lease.
  Result<void> let_go(const Holder& holder);
  /// The same, where the member's pod is known: what a former life's lock holds there of the round goes with its last
  /// member.
  Result<void> let_go(const Holder& holder, const PodId& pod);
  /// Gives back every share of a round. The first error is the result, all are tried.
  Result<void> let_go_round(const RoundId& round);

  /// This holder is about to vote: on_time() looks at its lock first, where that costs nothing to speak of.
  void expect_vote(const Holder& holder, TimePoint now);
  /// Renews what is due. Returns the holders of pods whose lease ran out unrenewed (this process was stopped, or the
  /// kernel refused), or whose lock was found gone: they hold nothing any more.
  [[nodiscard]] std::vector<Lapse> on_time(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  [[nodiscard]] std::optional<PodId> pod_of(const Holder& holder) const;
  [[nodiscard]] std::vector<RoundId> rounds() const;
  [[nodiscard]] std::vector<Holder> holders_of(const RoundId& round) const;

 private:
  struct Lock {
    std::vector<Holder> holders;
    milliseconds lease{0};     ///< the longest that a holder asked for
    TimePoint renewed;
    TimePoint next_renewal;
  };

  std::map<PodId, Lock> locks_;  ///< armed ones
  PodNetwork& network_;
};

}  // namespace lockstep::agent
