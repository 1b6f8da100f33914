#include "cli/preflight.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "cli/files.hpp"
#include "cli/pod_search.hpp"
#include "cli/tools_check.hpp"
#include "cli/verify_images.hpp"
#include "cli/verify_report.hpp"
#include "common/clock.hpp"
#include "common/netns.hpp"
#include "schemas/codec.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kReapLimit{3'000};
constexpr milliseconds kReapStep{10};

std::string the_member(const MemberId& id) { return "member \"" + id.value + "\""; }

Failure bad_member(const MemberId& id, std::string why, ErrorCode code = ErrorCode::invalid) {
  return fail(code, the_member(id), std::move(why));
}

/// What both operations need: root, CRIU, the hook.
Result<Preflight> check_tools(const GroupFile& group) {
  if (::geteuid() != 0) return fail(ErrorCode::invalid, "not root", "CRIU needs all capabilities; run as root");
  auto hook = find_hook(group);
  if (!hook) return Failure(hook.error());
  auto warnings = check_criu(group);
  if (!warnings) return Failure(warnings.error());
  return Preflight{{}, std::move(*hook), std::move(*warnings)};
}

Result<std::uint64_t> own_netns() {
  const auto own = open_netns_of(::getpid());
  if (!own) return Failure(own.error());
  return netns_inode(*own);
}

/// CRIU calls network-lock and network-unlock only for trees whose namespace is not its own.
Failure host_network(const MemberId& id) {
  return bad_member(id,
                    "lives in this machine's own network namespace: CRIU does not lock the network of such a tree, "
                    "so it can't take part in a coordinated checkpoint; run it in a namespace of its own");
}

Result<void> check_images_writable(const GroupMember& member) {
  std::error_code error;
  std::filesystem::create_directories(member.images, error);
  if (error) return bad_member(member.id, "images folder " + member.images + ": " + error.message());
  const Fd probe(::open(member.images.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  // Not every file system has O_TMPFILE; those that don't say EOPNOTSUPP, and access() has to do.
  if (!probe && (errno != EOPNOTSUPP || ::access(member.images.c_str(), W_OK) != 0)) {
    return bad_member(member.id, "can't write to images folder " + member.images + ": " + ::strerror(errno));
  }
  return {};
}

Result<pid_t> pid_of(const GroupMember& member) {
  if (member.pid) return *member.pid;
  auto pid = read_pidfile(member.pidfile);
  if (!pid) return bad_member(member.id, pid.error().message());
  return pid;
}

Result<ReadyMember> ready_to_dump(const GroupMember& member, const std::string& boot, std::uint64_t own_inode) {
  const auto pid = pid_of(member);
  if (!pid) return Failure(pid.error());
  ReadyMember ready;
  ready.member = &member;
  ready.pid = *pid;
  ready.root = Fd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  if (!ready.root || !is_running(*pid)) {
    return bad_member(
        member.id, "there is no process " + std::to_string(*pid) + (member.pid ? "" : " (from " + member.pidfile + ")"),
        ErrorCode::not_found);
  }
  const auto netns = open_netns_of(*pid);
  if (!netns) return bad_member(member.id, netns.error().message());
  const auto inode = netns_inode(*netns);
  if (!inode) return bad_member(member.id, inode.error().message());
  if (*inode == own_inode) return host_network(member.id);
  ready.pod = PodId{boot, *inode};
  if (auto writable = check_images_writable(member); !writable) return Failure(writable.error());
  return ready;
}

/// The namespace to restore into: the one named in the file, else the one of the dump, where it still exists.
Result<FoundPod> target_pod(const GroupMember& member, const Record& record, const std::string& boot) {
  if (!member.pod.empty()) {
    auto found = open_pod(member.pod);
    if (!found) return bad_member(member.id, "pod: " + found.error().message());
    return found;
  }
  if (record.pod.boot_id != boot) {
    return bad_member(member.id,
                      "was dumped on another machine, or before this one was started anew: name the network "
                      "namespace to restore into by \"pod:\"");
  }
  auto found = find_pod(record.pod.netns_inode);
  if (!found) {
    return bad_member(member.id,
                      "the network namespace that it was dumped from (net:[" + std::to_string(record.pod.netns_inode) +
                          "]) is gone: name one by \"pod:\"",
                      ErrorCode::not_found);
  }
  return found;
}

/// Whether the pid is free. One whose process has ended and waits for its parent gets a little time: a tree that was
/// dumped and killed a moment ago is such a one.
bool is_reaped(pid_t pid) {
  for (const TimePoint end = Clock::now() + kReapLimit; ::kill(pid, 0) == 0; std::this_thread::sleep_for(kReapStep)) {
    if (is_running(pid) || Clock::now() > end) return false;
  }
  return true;
}

/// A tree that is restored without a pid namespace of its own gets its old pids back: they have to be free. CRIU names
/// its images after the pids that the tasks saw themselves, which tells the two cases apart.
Result<void> check_pid_is_free(const GroupMember& member, const Record& record) {
  const std::string image = member.images + "/core-" + std::to_string(record.root_pid) + ".img";
  const bool same_pid = ::access(image.c_str(), F_OK) == 0;
  if (!same_pid || is_reaped(record.root_pid)) return {};
  const auto name = read_file("/proc/" + std::to_string(record.root_pid) + "/comm", 64);
  const std::string called = name ? " (" + name->substr(0, name->find('\n')) + ")" : "";
  return bad_member(member.id,
                    "its pid " + std::to_string(record.root_pid) + " is in use" + called +
                        (is_running(record.root_pid) ? ": end that process first"
                                                     : ": it has ended, and its parent has not waited for it"),
                    ErrorCode::conflict);
}

Result<ReadyMember> ready_to_restore(const GroupMember& member, Record record, const std::string& boot,
                                     std::uint64_t own_inode) {
  auto pod = target_pod(member, record, boot);
  if (!pod) return Failure(pod.error());
  if (pod->inode == own_inode) return host_network(member.id);
  if (auto is_free = check_pid_is_free(member, record); !is_free) return Failure(is_free.error());
  if (auto writable = check_images_writable(member); !writable) return Failure(writable.error());
  ReadyMember ready;
  ready.member = &member;
  ready.pid = record.root_pid;
  ready.pod = PodId{boot, pod->inode};
  ready.netns = std::move(pod->netns);
  ready.netns_path = std::move(pod->path);
  ready.record = std::move(record);
  return ready;
}

Result<std::vector<Record>> read_records(const GroupFile& group) {
  std::vector<Record> records;
  for (const GroupMember& member : group.members) {
    auto record = read_record(member.images);
    if (!record) return bad_member(member.id, record.error().message(), record.error().code);
    records.push_back(std::move(*record));
  }
  if (auto fit = check_records(group, records); !fit) return Failure(fit.error());
  return records;
}

/// Whether the images are one consistent cut. The sequence numbers of both ends stand side by side only here: what the
/// kernel tells of a restored socket counts anew from the restore, so that afterwards each end can be compared with its
/// own record only. Both together are the proof that the two ends fit.
Result<std::vector<std::string>> check_cut(const GroupFile& group) {
  std::vector<std::string> folders;
  bool strict = false;
  for (const GroupMember& member : group.members) {
    folders.push_back(member.images);
    strict = strict || resolve(group.policy, member.policy).revalidation == RevalidationPolicy::strict;
  }
  const auto cut = verify_images(folders);
  if (!cut) return Failure(cut.error());
  if (cut->consistent()) return std::vector<std::string>{};
  if (!strict) return std::vector{cut_line(*cut)};
  return fail(ErrorCode::conflict, cut_line(*cut),
              "see `lockstep verify`; \"revalidate: warn\" in " + group.path + " restores them nevertheless");
}

}  // namespace

Result<pid_t> read_pidfile(const std::string& path) {
  const auto text = read_file(path, 64);
  if (!text) return fail_from(text.error(), "pidfile");
  const std::size_t first = std::min(text->find_first_not_of(" \t\r\n"), text->size());
  const std::size_t last = text->find_last_not_of(" \t\r\n") + 1;
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text->data() + first, text->data() + std::max(first, last), pid);
  if (error != std::errc{} || end != text->data() + last || pid <= 0) {
    return fail(ErrorCode::invalid, "pidfile " + path, "does not hold a pid");
  }
  return pid;
}

bool is_running(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return false;
  // The state follows the name, which stands in parentheses and may hold any character.
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat->size()) return false;
  const char state = (*stat)[name_end + 2];
  return state != 'Z' && state != 'X';
}

Result<Record> read_record(const std::string& images) {
  const std::string path = images + "/" + std::string(kRecordFile);
  const auto bytes = read_file(path, kMaxFrame);
  if (!bytes && bytes.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, path, "is missing: this is no member of a committed checkpoint");
  }
  if (!bytes) return Failure(bytes.error());
  auto record = decode_record(*bytes);
  if (!record) return fail_from(record.error(), path);
  return record;
}

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
  const auto boot = boot_id();
  if (!boot) return Failure(boot.error());
  const auto own_inode = own_netns();
  if (!own_inode) return Failure(own_inode.error());
  std::map<pid_t, MemberId> taken;
  for (const GroupMember& member : group.members) {
    auto ready = ready_to_dump(member, *boot, *own_inode);
    if (!ready) return Failure(ready.error());
    const auto [other, fresh] = taken.emplace(ready->pid, member.id);
    if (!fresh) {
      return bad_member(member.id,
                        "has the same root process (" + std::to_string(ready->pid) + ") as " + the_member(other->second),
                        ErrorCode::conflict);
    }
    preflight->members.push_back(std::move(*ready));
  }
  return preflight;
}

Result<Preflight> preflight_restore(const GroupFile& group) {
  auto records = read_records(group);
  if (!records) return Failure(records.error());
  auto preflight = check_tools(group);
  if (!preflight) return preflight;
  auto doubts = check_cut(group);
  if (!doubts) return Failure(doubts.error());
  preflight->warnings.insert(preflight->warnings.end(), doubts->begin(), doubts->end());
  const auto boot = boot_id();
  if (!boot) return Failure(boot.error());
  const auto own_inode = own_netns();
  if (!own_inode) return Failure(own_inode.error());
  for (std::size_t i = 0; i < group.members.size(); ++i) {
    auto ready = ready_to_restore(group.members[i], std::move((*records)[i]), *boot, *own_inode);
    if (!ready) return Failure(ready.error());
    preflight->members.push_back(std::move(*ready));
  }
  return preflight;
}

}  // namespace lockstep::cli
