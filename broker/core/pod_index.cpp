#include "broker/core/pod_index.hpp"

#include <algorithm>

namespace lockstep::broker {

PodIndex::PodIndex(const OpenRound& plan) {
  std::map<std::string, std::size_t> by_uid;
  for (const RoundMember& member : plan.members) {
    const std::size_t fresh = pods_.size();
    const std::size_t number = member.pod_uid.empty() ? fresh : by_uid.emplace(member.pod_uid, fresh).first->second;
    if (number == fresh)
      pods_.emplace_back();
    else
      shared_ = true;
    number_.push_back(number);
  }
  for (std::size_t place_in_plan = 0; place_in_plan < plan.members.size(); ++place_in_plan) {
    place(place_in_plan, plan.members[place_in_plan].pod);
  }
}

void PodIndex::place(std::size_t member, const PodId& pod) {
  const std::size_t before = number_[member];
  if (!pod.known() || pods_[before] == pod) return;
  const bool others_are_elsewhere = pods_[before].known();
  const auto known = by_pod_.find(pod);
  shared_ = shared_ || known != by_pod_.end();
  if (others_are_elsewhere) {
    number_[member] = known == by_pod_.end() ? pods_.size() : known->second;
    if (known == by_pod_.end()) pods_.emplace_back();
  } else if (known != by_pod_.end()) {
    std::ranges::replace(number_, before, known->second);
  }
  pods_[number_[member]] = pod;
  by_pod_.emplace(pod, number_[member]);
}

}  // namespace lockstep::broker
