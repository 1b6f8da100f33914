#include "broker/core/standing_groups.hpp"

#include <utility>

namespace lockstep::broker {
namespace {

using Candidate = std::pair<const StandingGroup*, const RoundMember*>;
using Candidates = std::vector<Candidate>;

template <class Fits>
Candidates those(const Candidates& from, const Fits& fits) {
  Candidates found;
  for (const Candidate& candidate : from) {
    if (fits(*candidate.second)) found.push_back(candidate);
  }
  return found;
}

std::string text_of(const Candidate& candidate) {
  return candidate.second->id.value + " of group " + candidate.first->group.value;
}

StandingGroups::Match one_of(const Candidates& candidates, const std::string& by) {
  if (candidates.size() == 1) return {candidates[0].first, candidates[0].second->id, {}};
  return {nullptr, {}, by + " could be " + text_of(candidates[0]) + ", or " + text_of(candidates[1])};
}

}  // namespace

StandingGroups::Match StandingGroups::find(const Message& names, const HookEvent& event) const {
  Candidates all;
  for (const StandingGroup& group : groups_) {
    if (!names.group.empty() && group.group != names.group) continue;
    for (const RoundMember& member : group.plan.members) all.emplace_back(&group, &member);
  }
  Candidates candidates =
      those(all, [&](const RoundMember& member) { return names.member.empty() || member.id == names.member; });
  // An id out of a configuration that is not lockstep's own need not be one of the file's.
  const bool named = !names.member.empty() && (!candidates.empty() || event.dependencies.empty());
  if (!named) candidates = std::move(all);
  if (candidates.empty()) return {};
  if (named && candidates.size() == 1) return one_of(candidates, {});
  // An id is as long as it is; the file may say only its beginning.
  const auto by_container = those(candidates, [&](const RoundMember& member) {
    return !member.container.empty() && event.container.starts_with(member.container);
  });
  if (!by_container.empty()) return one_of(by_container, "container " + event.container);
  const auto by_pod = those(candidates, [&](const RoundMember& member) {
    return member.container.empty() && !member.pod_uid.empty() && member.pod_uid == event.pod_uid;
  });
  if (!by_pod.empty()) return one_of(by_pod, "a container of pod " + event.pod_uid);
  return !named ? Match{} : one_of(candidates, "member " + names.member.value);
}

}  // namespace lockstep::broker
