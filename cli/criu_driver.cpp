#include "cli/criu_driver.hpp"

#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "cli/files.hpp"
#include "cli/pod_search.hpp"
#include "common/clock.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kReapLimit{3'000};
constexpr milliseconds kReapStep{10};

Result<pid_t> pid_of(const GroupMember& member) {
  if (member.pid) return *member.pid;
  auto pid = read_pidfile(member.pidfile);
  if (!pid) return bad_member(member.id, pid.error().message());
  return pid;
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

}  // namespace

Result<ReadyMember> CriuDriver::find_tree(const GroupMember& member, const ThisMachine& machine) const {
  const auto pid = pid_of(member);
  if (!pid) return Failure(pid.error());
  ReadyMember ready;
  ready.member = &member;
  ready.container = member.container;
  ready.images = ready.work = member.images;
  if (auto seen = look_at_tree(ready, *pid, member.pidfile, machine); !seen) return Failure(seen.error());
  if (auto writable = check_writable(member.id, member.images); !writable) return Failure(writable.error());
  return ready;
}

Result<ReadyMember> CriuDriver::find_images(const GroupMember& member) const {
  auto record = read_record(member.images);
  if (!record) return bad_member(member.id, record.error().message(), record.error().code);
  ReadyMember ready;
  ready.member = &member;
  ready.container = member.container;
  ready.images = ready.work = member.images;
  ready.pid = record->root_pid;
  ready.record = std::move(*record);
  return ready;
}

Result<void> CriuDriver::find_place(ReadyMember& ready, const ThisMachine& machine) const {
  auto pod = target_pod(*ready.member, *ready.record, machine.boot_id);
  if (!pod) return Failure(pod.error());
  auto taken = take_pod(ready, std::move(pod->netns), pod->inode, std::move(pod->path), machine);
  if (!taken) return taken;
  if (auto is_free = check_pid_is_free(*ready.member, *ready.record); !is_free) return is_free;
  return check_writable(ready.member->id, ready.images);
}

CriuCommand CriuDriver::dump(const RoundContext& context, const ReadyMember& ready, bool leave_running) const {
  return dump_command(context, *ready.member, ready.pid, ready.pod, leave_running);
}

CriuCommand CriuDriver::restore(const RoundContext& context, const ReadyMember& ready) const {
  return restore_command(context, *ready.member, ready.pod, ready.netns.get());
}

Result<pid_t> CriuDriver::restored_pid(const ReadyMember& ready) const {
  return read_pidfile(restored_pidfile(ready.images));
}

}  // namespace lockstep::cli
