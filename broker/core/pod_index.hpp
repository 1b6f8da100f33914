/// Which members of a round live in one pod: those in the same network namespace; and, while that of one is not known,
/// those with the same pod uid. Who has neither counts as alone in its pod. Pure; members are named by their place in
/// the plan.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::broker {

class PodIndex {
 public:
  explicit PodIndex(const OpenRound& plan);
  /// The member turns out to live there. A uid that stands for two namespaces joins nobody.
  void place(std::size_t member, const PodId& pod);
  /// The number of its pod, the same for all members of one. Below numbers(); it may change when somebody is placed.
  [[nodiscard]] std::size_t pod_of(std::size_t member) const { return number_[member]; }
  /// Two members share a pod.
  [[nodiscard]] bool any_shared() const { return shared_; }
  /// More than there are pods: some numbers may belong to none.
  [[nodiscard]] std::size_t numbers() const { return pods_.size(); }

 private:
  std::vector<std::size_t> number_;  ///< of each member
  std::vector<PodId> pods_;          ///< of each number; may be unknown
  std::map<PodId, std::size_t> by_pod_;
  bool shared_ = false;
};

}  // namespace lockstep::broker
