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

/// A member of a round, as a holder of its pod's lock.
struct Holder {
  RoundId round;
  MemberId member;
  auto operator<=>(const Holder&) const = default;
};

class LockBook {
 public:
  explicit LockBook(PodNetwork& network) : network_(network) {}

  Result<void> prepare(const PodPlace& place) { return network_.prepare(place); }
  /// Locks the pod for this holder. Said again, it renews.
  Result<void> hold(const PodPlace& place, const Holder& holder, milliseconds lease, TimePoint now);
  /// Gives one share back; no error when there is none. On an error the share is given back all the same, and the pod
  /// opens with its lease.
  Result<void> let_go(const Holder& holder);
  /// Gives back every share of a round. The first error is the result, all are tried.
  Result<void> let_go_round(const RoundId& round);

  /// Renews what is due. Returns the holders of pods whose lease ran out unrenewed (this process was stopped, or the
  /// kernel refused): they hold nothing any more.
  [[nodiscard]] std::vector<Holder> on_time(TimePoint now);
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
