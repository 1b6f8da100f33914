#include "cli/locks_command.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

/// What was found, and what could not be looked into.
struct Survey {
  std::vector<LockRow> rows;
  std::vector<std::string> errors;
  std::size_t readable = 0;  ///< namespaces
};

std::int64_t unix_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void look_into(const MachineNetns& pod, Survey& survey) {
  const auto netns = open_found(pod);
  auto locks = netns ? find_locks(*netns) : Result<std::vector<FoundLock>>(Failure(netns.error()));
  if (!locks && locks.error().code == ErrorCode::not_found && !netns) return;  // its process has ended meanwhile
  if (!locks) {
    survey.errors.push_back("net:[" + std::to_string(pod.inode) + "], " + pod.name + ": " + locks.error().message());
    return;
  }
  ++survey.readable;
  for (FoundLock& lock : *locks) {
    if (lock.maker != LockMaker::lockstep) continue;
    const OwnerState owner = state_of(lock.note.owner);
    survey.rows.push_back({pod, std::move(lock), owner});
  }
}

Survey survey_all() {
  Survey survey;
  for (const MachineNetns& pod : machine_netns()) look_into(pod, survey);
  return survey;
}

/// Says on stderr what could not be looked into; the exit code that follows from it.
int report_errors(const Survey& survey) {
  for (const std::string& error : survey.errors) std::fprintf(stderr, "lockstep: %s\n", printable(error).c_str());
  if (survey.errors.empty()) return kDone;
  if (survey.readable > 0) return kFailed;
  if (::geteuid() != 0) std::fputs("lockstep: run as root\n", stderr);
  return kUsage;
}

std::string lock_text(const LockRow& row) {
  return row.lock.what + " from " + row.pod.name + ", net:[" + std::to_string(row.pod.inode) + "]" +
         (row.lock.armed ? " (armed)" : " (prepared)");
}

std::string warning_text(const LockRow& row) {
  const LockNote& note = row.lock.note;
  return "agent " + note.owner.agent + " (pid " + std::to_string(note.owner.pid) + ") is alive: it may lock net:[" +
         std::to_string(row.pod.inode) + "] again" +
         (note.round.empty() ? "" : ", and what round " + note.round + " saves may not fit together");
}

struct Unlocked {
  std::vector<std::string> removed;
  std::vector<std::string> warnings;
};

Unlocked remove_all(Survey& survey) {
  Unlocked done;
  for (const LockRow& row : survey.rows) {
    const auto netns = open_found(row.pod);
    const auto removed = netns ? remove_lock(*netns, row.lock) : Result<void>(Failure(netns.error()));
    if (!removed) {
      survey.errors.push_back(lock_text(row) + ": " + removed.error().message());
      continue;
    }
    done.removed.push_back(lock_text(row));
    if (row.owner == OwnerState::alive) done.warnings.push_back(warning_text(row));
  }
  return done;
}

void print(const Unlocked& done, const Survey& survey, bool json) {
  for (const std::string& warning : done.warnings)
    std::fprintf(stderr, "lockstep: warning: %s\n", printable(warning).c_str());
  if (json) {
    const Json report{{"removed", done.removed}, {"warnings", done.warnings}, {"errors", survey.errors}};
    std::fputs((report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
    return;
  }
  for (const std::string& what : done.removed) std::printf("removed %s\n", printable(what).c_str());
  if (done.removed.empty() && survey.errors.empty()) std::fputs("no locks\n", stdout);
}

}  // namespace

int run_locks_command(const LocksOptions& options) {
  const Survey survey = survey_all();
  const std::string text =
      options.json ? locks_json(survey.rows, survey.errors, unix_ms()) : locks_text(survey.rows, unix_ms());
  // "no locks" is for who could look everywhere.
  const bool unknown = survey.rows.empty() && !survey.errors.empty();
  if (options.json || !unknown) std::fputs(text.c_str(), stdout);
  return report_errors(survey);
}

int run_unlock_command(const UnlockOptions& options) {
  Survey survey;
  if (options.all) {
    survey = survey_all();
  } else if (const auto pod = find_netns(options.pod)) {
    look_into(*pod, survey);
  } else {
    survey.errors.push_back(pod.error().message());
  }
  const Unlocked done = remove_all(survey);
  print(done, survey, options.json);
  return report_errors(survey);
}

}  // namespace lockstep::cli
