// A restore's records that count only beside others: those of members that went early in a serial dump.
#include <algorithm>

#include "broker/core/round.hpp"

namespace lockstep::broker {

void Round::settle_records(Member& member, const PeerId& from, std::uint64_t sequence, const Directory& directory,
                           TimePoint now, Outbox& out) {
  member.wants_companion = !book_.has_record(index_.at(member.plan.id));
  const bool all_have_come =
      std::ranges::none_of(members_, [](const Member& each) { return each.images_round.empty(); });
  if (all_have_come) {
    const auto alone =
        std::ranges::find_if(members_, [&](const Member& each) { return !book_.has_record(index_.at(each.plan.id)); });
    if (alone != members_.end()) {
      return abort(
          "its images are those of a container that was dumped before others of its pod, and no record of "
          "round " +
              alone->images_round.value + " has it among them: that round was never decided",
          alone->plan.id, now, out);
    }
  }
  if (member.wants_companion)
    answer_again(member, kPrepare, from, sequence, now, out);
  else
    order(member, kPrepare, directory, now, out);
  for (Member& other : members_) {
    if (state_ != RoundState::open || !other.wants_companion || !book_.has_record(index_.at(other.plan.id))) continue;
    other.wants_companion = false;
    order(other, kPrepare, directory, now, out);
  }
}

}  // namespace lockstep::broker
