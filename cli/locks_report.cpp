#include <nlohmann/json.hpp>

#include "cli/locks_command.hpp"
#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

/// "12.3 s": locks are seconds old, and what is left of one counts in tenths.
std::string seconds_text(std::int64_t ms) {
  if (ms < 0) ms = 0;
  return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
}

std::string age_text(const FoundLock& lock, std::int64_t now_unix_ms) {
  return lock.note.armed_unix_ms == 0 ? "-" : seconds_text(now_unix_ms - lock.note.armed_unix_ms);
}

std::string lease_text(const FoundLock& lock) {
  if (!lock.armed) return "-";
  return lock.remaining ? seconds_text(lock.remaining->count()) : "for ever";
}

std::string owner_text(const LockRow& row) {
  const LockOwner& owner = row.lock.note.owner;
  if (owner.pid == 0) return "not noted";
  return owner.agent + " (pid " + std::to_string(owner.pid) + ", " + std::string(to_string(row.owner)) + ")";
}

Json owner_json(const LockRow& row) {
  const LockOwner& owner = row.lock.note.owner;
  if (owner.pid == 0) return nullptr;
  return {{"agent", owner.agent},
          {"pid", owner.pid},
          {"pid_namespace", owner.pid_namespace},
          {"state", std::string(to_string(row.owner))}};
}

Json lock_json(const LockRow& row, std::int64_t now_unix_ms) {
  const LockNote& note = row.lock.note;
  const bool dated = note.armed_unix_ms != 0;
  return {{"netns", row.pod.inode},
          {"pod", row.pod.name},
          {"path", row.pod.path},
          {"backend", row.lock.backend},
          {"state", row.lock.armed ? "armed" : "prepared"},
          {"owner", owner_json(row)},
          {"round", note.round.empty() ? Json(nullptr) : Json(note.round)},
          {"armed_unix_ms", dated ? Json(note.armed_unix_ms) : Json(nullptr)},
          {"age_ms", dated ? Json(now_unix_ms - note.armed_unix_ms) : Json(nullptr)},
          {"lease_remaining_ms", row.lock.remaining ? Json(row.lock.remaining->count()) : Json(nullptr)}};
}

}  // namespace

std::string locks_text(const std::vector<LockRow>& rows, std::int64_t now_unix_ms) {
  if (rows.empty()) return "no locks\n";
  TextTable table({"pod", "netns", "backend", "state", "owner", "round", "age", "lease left"});
  for (const LockRow& row : rows) {
    table.add({printable(row.pod.name), std::to_string(row.pod.inode), row.lock.backend,
               row.lock.armed ? "armed" : "prepared", owner_text(row),
               row.lock.note.round.empty() ? "-" : row.lock.note.round, age_text(row.lock, now_unix_ms),
               lease_text(row.lock)});
  }
  return table.text();
}

std::string locks_json(const std::vector<LockRow>& rows, const std::vector<std::string>& errors,
                       std::int64_t now_unix_ms) {
  Json locks = Json::array();
  for (const LockRow& row : rows) locks.push_back(lock_json(row, now_unix_ms));
  const Json report{{"locks", locks}, {"errors", errors}};
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lockstep::cli
