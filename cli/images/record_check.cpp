#include "cli/images/record_check.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "schemas/endpoint_text.hpp"

namespace lockstep::images {
namespace {

constexpr std::size_t kShown = 3;  ///< differences told of one by one

using Name = std::tuple<Endpoint, Endpoint, std::uint64_t>;  ///< local, remote, inode

std::string the_member(const MemberId& member) { return "member \"" + member.value + "\""; }

/// True for the sockets of a table that CRIU saves as connections (criu/sk-inet.c: can_dump_inet_sk()).
bool is_saved(const Socket& socket) {
  switch (socket.state) {
    case TcpState::established:
    case TcpState::syn_sent:
    case TcpState::fin_wait1:
    case TcpState::fin_wait2:
    case TcpState::close_wait:
    case TcpState::last_ack:
    case TcpState::closing: return socket.remote.port != 0 && socket.inode != 0;
    default: return false;
  }
}

void tell(std::vector<std::string>& problems, const Record& record, const std::vector<Name>& names,
          const std::string& what) {
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    const auto& [local, remote, inode] = names[i];
    problems.push_back(the_member(record.member) + ": connection " + endpoint_text(local) + " to " +
                       endpoint_text(remote) + " (inode " + std::to_string(inode) + "): " + what);
  }
  if (names.size() > kShown) {
    problems.push_back(the_member(record.member) + ": " + std::to_string(names.size() - kShown) +
                       " more connections: " + what);
  }
}

std::vector<Name> without(const std::set<Name>& from, const std::set<Name>& names) {
  std::vector<Name> rest;
  std::set_difference(from.begin(), from.end(), names.begin(), names.end(), std::back_inserter(rest));
  return rest;
}

std::string round_of(const Record& record) { return "round " + record.round.value + " of group " + record.group.value; }

}  // namespace

std::vector<std::string> check_round(const std::vector<std::string>& folders,
                                     const std::vector<const Record*>& records) {
  std::vector<std::string> problems;
  const Record* first = nullptr;
  std::map<MemberId, std::string> found;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record* record = records[i];
    if (record == nullptr) continue;
    if (first == nullptr) first = record;
    if (record->round != first->round || record->group != first->group) {
      problems.push_back(folders[i] + ": is of " + round_of(*record) + ", others are of " + round_of(*first));
      continue;
    }
    if (std::set(record->members.begin(), record->members.end()) !=
        std::set(first->members.begin(), first->members.end())) {
      problems.push_back(folders[i] + ": its record lists other members than that of " + the_member(first->member));
    }
    if (const auto [other, is_new] = found.emplace(record->member, folders[i]); !is_new) {
      problems.push_back(the_member(record->member) + " is there twice: " + other->second + " and " + folders[i]);
    }
  }
  if (first == nullptr) return problems;
  const std::set<MemberId> members(first->members.begin(), first->members.end());
  for (const MemberId& member : members) {
    if (!found.contains(member)) problems.push_back(the_member(member) + " of " + round_of(*first) + " is missing");
  }
  for (const auto& [member, folder] : found) {
    if (!members.contains(member)) {
      problems.push_back(folder + ": " + the_member(member) + " is not a member of its own round");
    }
  }
  return problems;
}

std::vector<std::string> complete_records(const std::vector<std::string>& folders,
                                          const std::vector<Record*>& records) {
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Record* record = records[i];
    if (record == nullptr || !record->conditional) continue;
    const EarlierMember* share = nullptr;
    for (const Record* other : records) {
      const bool vouches = other != nullptr && other != record && !other->conditional &&
                           other->round == record->round && other->group == record->group && !other->earlier.empty();
      if (!vouches) continue;
      const auto found = std::ranges::find(other->earlier, record->member, &EarlierMember::member);
      if (found != other->earlier.end()) share = &*found;
    }
    if (share == nullptr) {
      problems.push_back(folders[i] + ": " + the_member(record->member) +
                         " was dumped before others of its pod, and no record of " + round_of(*record) +
                         " has it among them: that round was never decided, or their images are missing");
      continue;
    }
    record->sockets = share->sockets;
    record->labels = share->labels;
    record->conditional = false;
  }
  return problems;
}

std::vector<std::string> compare_with_record(const Record& record, const TcpImages& images) {
  std::set<Name> listed;
  for (const Socket& socket : record.sockets) {
    if (is_saved(socket)) listed.emplace(socket.local, socket.remote, socket.inode);
  }
  std::set<Name> saved;
  std::set<Name> live;
  for (const auto* ends : {&images.ends, &images.unsaved}) {
    for (const TcpEnd& end : *ends) {
      saved.emplace(end.local, end.remote, end.inode);
      if (end.state != TcpState::close) live.emplace(end.local, end.remote, end.inode);
    }
  }
  std::vector<std::string> problems;
  tell(problems, record, without(listed, saved), "in the record, not in the images");
  tell(problems, record, without(live, listed), "in the images, not in the record");
  return problems;
}

std::vector<std::string> compare_with_labels(const Record& record, const std::vector<TcpEnd>& alone) {
  std::set<Name> internal;
  for (std::size_t i = 0; i < record.sockets.size() && i < record.labels.size(); ++i) {
    const Socket& socket = record.sockets[i];
    const ConnectionLabel label = record.labels[i].label;
    if (label != ConnectionLabel::internal && label != ConnectionLabel::internal_service) continue;
    internal.emplace(socket.local, socket.remote, socket.inode);
  }
  std::vector<Name> lost;
  for (const TcpEnd& end : alone) {
    const Name name(end.local, end.remote, end.inode);
    if (internal.contains(name)) lost.push_back(name);
  }
  std::vector<std::string> problems;
  tell(problems, record, lost, "internal by the record, but the images have no other end");
  return problems;
}

}  // namespace lockstep::images
