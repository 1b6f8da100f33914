#include "cli/aftermath.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "cli/criu_stats.hpp"
#include "cli/files.hpp"
#include "cli/images/process_images.hpp"
#include "cli/restored/compare.hpp"
#include "cli/restored/live_tree.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kGoneLimit{5'000};

std::string the_member(const ReadyMember& ready) { return "member \"" + ready.member->id.value + "\""; }

/// Once for each file system: a group's folders mostly share one.
Result<void> sync_images(const std::vector<ReadyMember>& members) {
  std::set<dev_t> done;
  for (const ReadyMember& ready : members) {
    if (ready.is_remote()) continue;
    const std::string& images = ready.archive.empty() ? ready.images : ready.archive;
    const Fd file(::open(images.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0) return fail_errno("open " + images);
    if (done.insert(info.st_dev).second && ::syncfs(file.get()) != 0) return fail_errno("syncfs " + images);
  }
  return {};
}

/// After dump and kill: CRIU has sent SIGKILL to all tasks, and the root ends last.
void check_gone(const std::vector<ReadyMember>& members, Report& report) {
  const TimePoint end = Clock::now() + kGoneLimit;
  for (const ReadyMember& ready : members) {
    pollfd gone{ready.root.get(), POLLIN, 0};
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
    if (::poll(&gone, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) == 1) continue;
    report.notes.push_back(the_member(ready) + ": was dumped, and its process " + std::to_string(ready.pid) +
                           " is still there");
  }
}

void check_running(const std::vector<ReadyMember>& members, Report& report) {
  for (const ReadyMember& ready : members) {
    pollfd gone{ready.root.get(), POLLIN, 0};
    if (::poll(&gone, 1, 0) != 1) continue;
    report.notes.push_back(the_member(ready) + ": its process " + std::to_string(ready.pid) + " does not run any more");
  }
}

/// The broker's word is missing, but the hooks may have had it: a record has its final name only in a committed round.
void tell_from_records(const std::vector<ReadyMember>& members, Report& report) {
  if (std::ranges::any_of(members, &ReadyMember::is_remote)) {
    return report.notes.push_back("the records that would tell are in the archives on the members' nodes: copy them here, "
                                  "and `lockstep verify` says whether the checkpoint is whole");
  }
  std::size_t found = 0;
  for (const ReadyMember& ready : members) {
    const auto record = read_record(ready.images);
    if (record && record->round == report.round) ++found;
  }
  const std::string count = std::to_string(found) + " of " + std::to_string(members.size()) + " members";
  report.notes.push_back("the records of this round are there for " + count +
                         (found == members.size() ? ": the checkpoint is whole, and can be restored"
                                                  : ": the checkpoint is not complete, and restore will refuse it"));
}

void compare_with_images(const ReadyMember& ready, pid_t root, TimePoint opened, Report& report) {
  const images::ProcessImages saved = images::read_process_images(ready.images);
  const LiveTree live = read_live_tree(root);
  const auto since = std::chrono::ceil<milliseconds>(Clock::now() - opened);
  for (RestoreDifference& difference : compare_restored(saved, live, since)) {
    report.after_restore.push_back({ready.member->id, std::move(difference)});
  }
  for (const std::string& problem : saved.problems) {
    report.notes.push_back(the_member(ready) + ": was not compared with all of its images: " + problem);
  }
}

void after_restored(const ReadyMember& ready, MemberReport& member, Report& report) {
  const auto pid = driver_of(*ready.member).restored_pid(ready);
  if (!pid) {
    report.notes.push_back(the_member(ready) + ": its restored process is not known: " + pid.error().message());
    return;
  }
  member.pid = *pid;
  if (ready.member->pidfile.empty()) return;
  if (auto written = replace_file(ready.member->pidfile, std::to_string(*pid) + "\n"); !written) {
    report.notes.push_back(the_member(ready) + ": runs as process " + std::to_string(*pid) + ", but " +
                           written.error().message());
  }
}

void check_nothing_left(const ReadyMember& ready, Report& report) {
  const auto pid = driver_of(*ready.member).restored_pid(ready);
  if (!pid || !is_running(*pid)) return;
  report.notes.push_back(the_member(ready) + ": there is process " + std::to_string(*pid) +
                         " of its restore left, which must not run on without the others: kill it");
}

}  // namespace

void after_checkpoint(const std::vector<ReadyMember>& members, Report& report) {
  const RoundVerdict verdict = verdict_of(report.outcome);
  const bool runs_on = report.outcome.status.leave_running || verdict == RoundVerdict::aborted;
  if (verdict == RoundVerdict::unknown) {
    tell_from_records(members, report);
  } else if (runs_on) {
    check_running(members, report);
  } else {
    check_gone(members, report);
  }
  if (verdict != RoundVerdict::committed) return;
  const TimePoint begin = Clock::now();
  if (auto synced = sync_images(members); !synced) {
    report.notes.push_back("the images may not be on the disk yet: " + synced.error().message());
  }
  report.sync = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

void after_restore(const std::vector<ReadyMember>& members, TimePoint opened, Report& report) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (report.members[i].run.ok()) {
      after_restored(members[i], report.members[i], report);
      if (const pid_t root = report.members[i].pid; root != 0) compare_with_images(members[i], root, opened, report);
    } else {
      check_nothing_left(members[i], report);
    }
    // It has served its purpose; the next restore would stumble over it.
    if (auto removed = remove_file(restored_pidfile(members[i].images)); !removed) {
      report.notes.push_back(removed.error().message());
    }
  }
}

}  // namespace lockstep::cli
