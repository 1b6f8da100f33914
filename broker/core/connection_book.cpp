#include "broker/core/connection_book.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "broker/core/connection_matching.hpp"
#include "schemas/endpoint_text.hpp"

namespace lockstep::broker {

ConnectionBook::ConnectionBook(const OpenRound& plan) {
  members_.reserve(plan.members.size());
  for (const RoundMember& member : plan.members) {
    Member& entry = members_.emplace_back();
    entry.id = member.id;
    entry.policy = resolve(plan.policy, member.policy);
  }
}

// --- dump -----------------------------------------------------------------------------------------------------------

void ConnectionBook::add_table(std::size_t at, const PodId& pod, std::vector<InterfaceAddress> addresses,
                               SocketTable sockets, const std::vector<NatEntry>& nat) {
  Member& member = members_[at];
  member.pod = pod;
  member.addresses = std::move(addresses);
  member.sockets = std::move(sockets);
  nat_.insert(nat_.end(), nat.begin(), nat.end());
}

std::optional<ConnectionBook::Objection> ConnectionBook::classify() {
  std::vector<MemberSockets> tables;
  tables.reserve(members_.size());
  for (const Member& member : members_) tables.push_back({member.pod, member.sockets, member.addresses});
  Matching matching = match_connections(tables, nat_);
  nat_ = {};
  std::optional<Objection> first;
  for (std::size_t at = 0; at < members_.size(); ++at) {
    Member& member = members_[at];
    member.labels = std::move(matching.labels[at]);
    count(member);
    for (std::size_t i = 0; i < member.sockets.size() && !first; ++i) {
      if (treatment_of(member.sockets[i], member.labels[i], member.policy) != Treatment::refuse) continue;
      first = Objection{at, "policy refuses its " + std::string(to_string(member.labels[i].label)) + " connection " +
                                connection_text(member.sockets[i])};
    }
  }
  return first;
}

void ConnectionBook::fill(std::size_t at, Record& record) const {
  const Member& member = members_[at];
  record.addresses = member.addresses;
  if (record.conditional) return;
  record.sockets = member.sockets;
  record.labels = member.labels;
}

EarlierMember ConnectionBook::earlier(std::size_t at) const {
  const Member& member = members_[at];
  return {member.id, member.sockets, member.labels};
}

// --- restore --------------------------------------------------------------------------------------------------------

void ConnectionBook::add_record(std::size_t at, Record record) {
  Member& member = members_[at];
  member.addresses = std::move(record.addresses);
  member.order = std::move(record.members);
  member.conditional = record.conditional;
  member.recorded = !record.conditional || member.completed;
  if (!record.conditional) {
    member.sockets = std::move(record.sockets);
    member.labels = std::move(record.labels);
  }
  count(member);
  if (record.conditional) return;  // vouches for nobody
  for (EarlierMember& earlier : record.earlier) {
    Member* other = find(earlier.member);
    if (other == nullptr || (other->recorded && !other->conditional)) continue;
    other->sockets = std::move(earlier.sockets);
    other->labels = std::move(earlier.labels);
    other->completed = true;
    other->recorded = other->conditional;
    count(*other);
  }
}

ConnectionBook::Member* ConnectionBook::find(const MemberId& id) {
  const auto member = std::ranges::find(members_, id, &Member::id);
  return member == members_.end() ? nullptr : &*member;
}

SocketTable ConnectionBook::wanted(std::size_t at) const {
  const Member& member = members_[at];
  SocketTable table;
  for (std::size_t i = 0; i < member.sockets.size(); ++i) {
    const Treatment treatment = treatment_of(member.sockets[i], member.labels[i], member.policy);
    if (treatment != Treatment::absent) table.push_back(member.sockets[i]);
  }
  return table;
}

std::vector<InterfaceAddress> ConnectionBook::addresses(std::size_t at) const { return members_[at].addresses; }

SocketTable ConnectionBook::to_close(std::size_t at) const {
  const Member& member = members_[at];
  SocketTable table;
  for (std::size_t i = 0; i < member.sockets.size(); ++i) {
    const Treatment treatment = treatment_of(member.sockets[i], member.labels[i], member.policy);
    if (treatment == Treatment::close) table.push_back(member.sockets[i]);
  }
  return table;
}

void ConnectionBook::add_found(std::size_t at, std::vector<InterfaceAddress> addresses, SocketTable sockets,
                               const ClosedConnections& closed) {
  Member& member = members_[at];
  member.found_addresses = std::move(addresses);
  member.found = std::move(sockets);
  member.counts.closed = closed;
}

std::vector<ConnectionDifference> ConnectionBook::differences() const {
  // Labels name the other end by its place in the record's list of members, which may be another order than this
  // plan's.
  std::unordered_map<MemberId, const Member*> by_id;
  for (const Member& member : members_) by_id.emplace(member.id, &member);
  std::vector<SavedMember> saved;
  std::vector<FoundMember> found;
  for (const MemberId& id : members_.front().order) {
    const Member& member = *by_id.at(id);
    saved.push_back({member.id, member.sockets, member.labels, member.policy});
    found.push_back({member.found, member.found_addresses});
  }
  return revalidate(saved, found);
}

std::optional<ConnectionBook::Objection> ConnectionBook::objection_to(
    const std::vector<ConnectionDifference>& differences) const {
  std::map<MemberId, std::size_t> strict;  // each socket of a large group may differ
  for (std::size_t at = 0; at < members_.size(); ++at) {
    if (members_[at].policy.revalidation == RevalidationPolicy::strict) strict.emplace(members_[at].id, at);
  }
  for (const ConnectionDifference& difference : differences) {
    const auto found = strict.find(difference.member);
    if (found == strict.end()) continue;
    const std::string more =
        differences.size() > 1 ? " (and " + std::to_string(differences.size() - 1) + " more differences)" : "";
    return Objection{found->second, "not as it was saved: " + difference_text(difference) + more};
  }
  return std::nullopt;
}

// --- both -----------------------------------------------------------------------------------------------------------

void ConnectionBook::count(Member& member) const {
  ConnectionCounts counts;
  for (std::size_t i = 0; i < member.sockets.size(); ++i) {
    switch (member.labels[i].label) {
      case ConnectionLabel::internal: ++counts.internal; break;
      case ConnectionLabel::internal_service: ++counts.internal_service; break;
      case ConnectionLabel::external: ++counts.external; break;
      case ConnectionLabel::listening: ++counts.listening; break;
      case ConnectionLabel::half_open: ++counts.half_open; break;
      case ConnectionLabel::orphaned: ++counts.orphaned; break;
      case ConnectionLabel::finished: ++counts.finished; break;
      case ConnectionLabel::ambiguous: ++counts.ambiguous; break;
    }
  }
  member.counts = counts;
}

void ConnectionBook::forget_tables() {
  for (Member& member : members_) {
    member.addresses = {};
    member.sockets = {};
    member.labels = {};
    member.found_addresses = {};
    member.found = {};
  }
}

}  // namespace lockstep::broker
