#include "cli/preflight.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "cli/tools_check.hpp"
#include "cli/tree_check.hpp"
#include "cli/verify_images.hpp"
#include "cli/verify_report.hpp"
#include "common/netns.hpp"

namespace lockstep::cli {
namespace {

std::string the_member(const MemberId& id) { return "member \"" + id.value + "\""; }

/// What both operations need: root, and where CRIU is started by us, CRIU and the hook. Kubelets need nothing here.
Result<Preflight> check_tools(const GroupFile& group) {
  const bool all_remote =
      std::ranges::all_of(group.members, [](const auto& each) { return each.driver == Driver::kubelet; });
  if (all_remote) return Preflight{};
  if (::geteuid() != 0) return fail(ErrorCode::invalid, "not root", "CRIU needs all capabilities; run as root");
  Preflight preflight;
  const bool by_criu = std::ranges::any_of(group.members, [](const auto& each) { return each.driver == Driver::criu; });
  if (!by_criu) return preflight;
  auto hook = find_hook(group);
  if (!hook) return Failure(hook.error());
  auto warnings = check_criu(group);
  if (!warnings) return Failure(warnings.error());
  preflight.hook = std::move(*hook);
  preflight.warnings = std::move(*warnings);
  return preflight;
}

Result<ThisMachine> this_machine() {
  const auto boot = boot_id();
  if (!boot) return Failure(boot.error());
  const auto own = open_netns_of(::getpid());
  if (!own) return Failure(own.error());
  const auto inode = netns_inode(*own);
  if (!inode) return Failure(inode.error());
  return ThisMachine{*boot, *inode};
}

Result<std::vector<ReadyMember>> find_images(const GroupFile& group) {
  std::vector<ReadyMember> found;
  std::vector<Record> records;
  for (const GroupMember& member : group.members) {
    auto ready = driver_of(member).find_images(member);
    if (!ready) return Failure(ready.error());
    records.push_back(*ready->record);
    found.push_back(std::move(*ready));
  }
  if (auto fit = check_records(group, records); !fit) return Failure(fit.error());
  return found;
}

/// Whether the images are one consistent cut. The sequence numbers of both ends stand side by side only here: what the
/// kernel tells of a restored socket counts anew from the restore, so that afterwards each end can be compared with its
/// own record only. Both together are the proof that the two ends fit.
Result<std::vector<std::string>> check_cut(const GroupFile& group, const std::vector<ReadyMember>& members) {
  std::vector<std::string> folders;
  bool strict = false;
  for (const ReadyMember& ready : members) {
    folders.push_back(ready.images);
    strict = strict || resolve(group.policy, ready.member->policy).revalidation == RevalidationPolicy::strict;
  }
  const auto cut = verify_images(folders);
  if (!cut) return Failure(cut.error());
  if (cut->consistent()) return std::vector<std::string>{};
  if (!strict) return std::vector{cut_line(*cut)};
  return fail(ErrorCode::conflict, cut_line(*cut),
              "see `lockstep verify`; \"revalidate: warn\" in " + group.path + " restores them nevertheless");
}

}  // namespace

Result<void> check_records(const GroupFile& group, const std::vector<Record>& records) {
  std::set<MemberId> ours;
  for (const GroupMember& member : group.members) ours.insert(member.id);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    const MemberId& id = group.members[i].id;
    if (record.group != group.group) {
      return bad_member(id, "its images are of group \"" + record.group.value + "\"");
    }
    if (record.member != id) return bad_member(id, "its images are those of " + the_member(record.member));
    if (record.round != records.front().round) {
      return bad_member(id, "its images are of round " + record.round.value + ", those of " +
                                the_member(group.members.front().id) + " of round " + records.front().round.value +
                                ": together they are no consistent checkpoint");
    }
    const std::set<MemberId> theirs(record.members.begin(), record.members.end());
    for (const MemberId& other : theirs) {
      if (!ours.contains(other)) {
        return bad_member(other, "took part in the checkpoint and is not in " + group.path, ErrorCode::not_found);
      }
    }
    for (const MemberId& other : ours) {
      if (!theirs.contains(other)) return bad_member(other, "did not take part in the checkpoint of " + the_member(id));
    }
  }
  return {};
}

Result<Preflight> preflight_checkpoint(const GroupFile& group) {
  auto preflight = check_tools(group);
  if (!preflight) return preflight;
  const auto machine = this_machine();
  if (!machine) return Failure(machine.error());
  std::map<std::string, MemberId> taken;
  for (const GroupMember& member : group.members) {
    auto ready = driver_of(member).find_tree(member, *machine);
    if (!ready) return Failure(ready.error());
    const std::string what =
        ready->pid != 0 ? "root process (" + std::to_string(ready->pid) + ")" : "container (" + ready->container + ")";
    const auto [other, fresh] = taken.emplace(what, member.id);
    if (!fresh) {
      return bad_member(member.id, "has the same " + what + " as " + the_member(other->second), ErrorCode::conflict);
    }
    preflight->members.push_back(std::move(*ready));
  }
  return preflight;
}

Result<Preflight> preflight_restore(const GroupFile& group) {
  auto members = find_images(group);
  if (!members) return Failure(members.error());
  auto preflight = check_tools(group);
  if (!preflight) return preflight;
  auto doubts = check_cut(group, *members);
  if (!doubts) return Failure(doubts.error());
  preflight->warnings.insert(preflight->warnings.end(), doubts->begin(), doubts->end());
  const auto machine = this_machine();
  if (!machine) return Failure(machine.error());
  for (ReadyMember& ready : *members) {
    if (auto placed = driver_of(*ready.member).find_place(ready, *machine); !placed) return Failure(placed.error());
  }
  for (ReadyMember& ready : *members) {
    auto kept = kept_options(ready);
    if (!kept) return Failure(kept.error());
    ready.more_options = std::move(*kept);
  }
  preflight->members = std::move(*members);
  return preflight;
}

}  // namespace lockstep::cli
