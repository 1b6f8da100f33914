#include "broker/journal_db.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <filesystem>
#include <string_view>
#include <utility>

#include "schemas/codec.hpp"

namespace lockstep::broker {
namespace {

/// Of the tables below; in the file as PRAGMA user_version.
constexpr std::int64_t kSchemaVersion = 1;

/// The states of a row. Not RoundState: a number in a file must not change with an enum.
constexpr int kOpen = 0;
constexpr int kDecided = 1;
constexpr int kEnded = 2;
constexpr int kTakenBack = 3;  ///< as kOpen: its decision could not be kept, and does not count
/// Has ended, too. (Brokers from before this state take it for open, and abort it once more.)
constexpr int kAborted = 4;

/// In write-ahead mode FULL syncs the log at each commit. The log is written back when a round is opened and after one
/// has ended, never with a decision: no task of that round is frozen yet, or any more. (Other groups may have theirs at
/// that moment, and wait for it.)
constexpr const char* kSettings =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;";

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS rounds ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  group_id TEXT NOT NULL,"
    "  opened_unix_ms INTEGER NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  plan BLOB NOT NULL,"   // a message: OpenRound
    "  status BLOB);"         // a message: RoundStatus, once the round has ended
    "CREATE INDEX IF NOT EXISTS rounds_by_state ON rounds (state, number);"
    "PRAGMA user_version = 1;";

std::string encode_plan(const JournalRound& round) { return encode(Message{round.id, round.group, {}, 0, round.plan}); }

Failure damaged(const std::string& path, const std::string& what) {
  return fail(ErrorCode::invalid, "journal " + path, what + "; move it away to begin a new one, and verify by the "
                                                            "members' records what had been committed");
}

}  // namespace

/// A prepared statement, its values and its rows.
class JournalDb::Statement {
 public:
  Statement(sqlite3* db, const char* sql) { ok_ = ::sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) == SQLITE_OK; }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { ::sqlite3_finalize(statement_); }

  Statement& text(int at, std::string_view value) {
    ok_ = ok_ && ::sqlite3_bind_text64(statement_, at, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK;
    return *this;
  }
  Statement& blob(int at, std::string_view value) {
    ok_ = ok_ && ::sqlite3_bind_blob64(statement_, at, value.data(), value.size(), SQLITE_TRANSIENT) == SQLITE_OK;
    return *this;
  }
  Statement& number(int at, std::int64_t value) {
    ok_ = ok_ && ::sqlite3_bind_int64(statement_, at, value) == SQLITE_OK;
    return *this;
  }
  /// To the next row; false after the last one, and on an error.
  [[nodiscard]] bool next() {
    if (!ok_) return false;
    const int result = ::sqlite3_step(statement_);
    ok_ = result == SQLITE_ROW || result == SQLITE_DONE;
    return result == SQLITE_ROW;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::int64_t number_at(int column) const { return ::sqlite3_column_int64(statement_, column); }
  /// Of a text or blob column; valid until the next step.
  [[nodiscard]] std::string_view bytes_at(int column) const {
    const auto* data = static_cast<const char*>(::sqlite3_column_blob(statement_, column));
    return {data, data == nullptr ? 0 : static_cast<std::size_t>(::sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  bool ok_ = false;
};

Result<std::unique_ptr<JournalDb>> JournalDb::create(const std::string& path, std::size_t kept) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::absolute(path).parent_path(), error);
  if (error) return fail(ErrorCode::system, "create the folder of journal " + path, error.message());
  sqlite3* raw = nullptr;
  const mode_t before = ::umask(0077);  // it tells which pods exist
  const int opened = ::sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<JournalDb> journal(new JournalDb(path, std::unique_ptr<sqlite3, Close>(raw), kept));
  const auto prepared = opened == SQLITE_OK ? journal->prepare_file() : journal->failure("open");
  ::umask(before);
  if (prepared) return journal;
  const int code = raw == nullptr ? SQLITE_NOMEM : ::sqlite3_errcode(raw);
  if (prepared.error().code == ErrorCode::invalid || code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
    journal->problem_ = prepared.error().code == ErrorCode::invalid
                            ? prepared.error()
                            : damaged(path, prepared.error().message()).value();
    return journal;
  }
  return Failure(prepared.error());
}

Result<void> JournalDb::prepare_file() {
  if (auto set = run(kSettings); !set) return set;
  const auto version = number("PRAGMA user_version");
  if (!version) return Failure(version.error());
  if (*version > kSchemaVersion) return damaged(path_, "was written by a newer lockstep");
  Statement check(db_.get(), "PRAGMA quick_check(1)");
  if (!check.next()) return failure("check");
  if (check.bytes_at(0) != "ok") return damaged(path_, "is damaged: " + std::string(check.bytes_at(0)));
  return run(kSchema);
}

Result<void> JournalDb::run(const char* sql) {
  if (::sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure("prepare");
}

Result<std::int64_t> JournalDb::number(const char* sql) {
  Statement statement(db_.get(), sql);
  if (!statement.next()) return failure("read");
  return statement.number_at(0);
}

Failure JournalDb::failure(const std::string& doing) const {
  const int code = ::sqlite3_errcode(db_.get());
  const std::string operation = doing + " journal " + path_;
  if (code == SQLITE_BUSY) return fail(ErrorCode::conflict, operation, "another broker has it open");
  if (code == SQLITE_FULL) return fail(ErrorCode::system, operation, "the disk is full");
  return fail(ErrorCode::system, operation, ::sqlite3_errmsg(db_.get()));
}

Result<void> JournalDb::open(const JournalRound& round) {
  if (problem_) return Failure(*problem_);
  Statement insert(db_.get(), "INSERT INTO rounds (id, group_id, opened_unix_ms, state, plan) VALUES (?, ?, ?, ?, ?)");
  insert.text(1, round.id.value).text(2, round.group.value).number(3, round.opened_unix_ms).number(4, kTakenBack);
  insert.blob(5, encode_plan(round));
  (void)insert.next();
  if (!insert.ok()) return failure("write to");
  // With its pages in the file, a decision that fails can be taken back without room on the disk: undecide(). The log
  // begins anew then, at the price of a sync, so that has to be over when tasks wait for the decision.
  auto ready = write_back(false);
  if (ready) {
    Statement update(db_.get(), "UPDATE rounds SET state = ? WHERE id = ?");
    update.number(1, kOpen).text(2, round.id.value);
    (void)update.next();
    if (!update.ok()) ready = failure("write to");
  }
  if (ready) return ready;
  Statement remove(db_.get(), "DELETE FROM rounds WHERE id = ?");
  remove.text(1, round.id.value);
  (void)remove.next();  // else the next broker finds it, and aborts it
  return ready;
}

Result<void> JournalDb::write_back(bool truncate) {
  const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  if (::sqlite3_wal_checkpoint_v2(db_.get(), nullptr, mode, nullptr, nullptr) != SQLITE_OK)
    return failure("write back");
  if (!truncate) return {};
  sqlite3_file* log = nullptr;
  if (::sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log)) != SQLITE_OK ||
      log == nullptr || log->pMethods == nullptr || log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
    return fail(ErrorCode::system, "sync the log of journal " + path_);
  }
  return {};
}

Result<void> JournalDb::decide(const JournalRound& round) {
  if (problem_) return Failure(*problem_);
  Statement update(db_.get(), "UPDATE rounds SET state = ?, plan = ? WHERE id = ? AND state = ?");
  update.number(1, kDecided).blob(2, encode_plan(round)).text(3, round.id.value).number(4, kOpen);
  (void)update.next();
  if (!update.ok()) return failure("write to");
  if (::sqlite3_changes(db_.get()) != 1) {
    return fail(ErrorCode::invalid, "journal " + path_, "holds no open round " + round.id.value);
  }
  return {};
}

Result<void> JournalDb::undecide(const RoundId& round) {
  if (problem_) return Failure(*problem_);
  // A commit that has failed is not seen here, but its pages may stand in the log, and whoever opens the file next
  // would take them for good when their sync was all that failed. What is written now takes their place. The state is a
  // new one: pages that do not change are not written.
  Statement update(db_.get(), "UPDATE rounds SET state = ? WHERE id = ? AND state NOT IN (?, ?)");
  update.number(1, kTakenBack).text(2, round.value).number(3, kEnded).number(4, kAborted);
  (void)update.next();
  if (update.ok()) return {};
  const Error why = failure("take a decision back from").value();
  // On a disk that takes nothing more: without the log they are gone as well.
  if (write_back(true)) return {};
  return Failure(why);
}

Result<void> JournalDb::end(const Message& status) {
  if (problem_) return Failure(*problem_);
  Statement update(db_.get(), "UPDATE rounds SET state = ?, status = ? WHERE id = ?");
  const bool aborted = summary_of(status).state == RoundState::aborted;
  update.number(1, aborted ? kAborted : kEnded).blob(2, encode(status)).text(3, status.round.value);
  (void)update.next();
  return update.ok() ? Result<void>() : failure("write to");
}

Result<void> JournalDb::tidy() {
  if (problem_) return Failure(*problem_);
  // A round that is forgotten counts as aborted: whoever is in doubt about a committed one has to find it.
  const auto kept = static_cast<std::int64_t>(kept_);
  Statement aborted(db_.get(),
                    "DELETE FROM rounds WHERE state = ?1 AND number <= (SELECT number FROM rounds WHERE state = ?1 "
                    "ORDER BY number DESC LIMIT 1 OFFSET ?2)");
  aborted.number(1, kAborted).number(2, kept);
  (void)aborted.next();
  if (!aborted.ok()) return failure("prune");
  // "Now" is when the newest round was opened: with none since, there is nothing to make room for.
  Statement committed(
      db_.get(),
      "DELETE FROM rounds WHERE state = ?1 AND number <= (SELECT number FROM rounds WHERE state = ?1 "
      "ORDER BY number DESC LIMIT 1 OFFSET ?2) AND (opened_unix_ms < (SELECT opened_unix_ms FROM rounds "
      "ORDER BY number DESC LIMIT 1) - ?3 OR number <= (SELECT number FROM rounds WHERE state = ?1 "
      "ORDER BY number DESC LIMIT 1 OFFSET ?4))");
  committed.number(1, kEnded).number(2, kept).number(3, kKeptForDoubtMs);
  committed.number(4, kept * static_cast<std::int64_t>(kMostForDoubt));
  (void)committed.next();
  if (!committed.ok()) return failure("prune");
  return write_back(false);
}

std::optional<JournalRound> JournalDb::round_at(const Statement& row) {
  auto message = decode(row.bytes_at(0), kOldestKeptVersion);
  auto* plan = message ? std::get_if<OpenRound>(&message->body) : nullptr;
  if (plan == nullptr) return std::nullopt;
  return JournalRound{message->round, message->group, std::move(*plan), row.number_at(1), row.number_at(2) == kDecided};
}

Result<std::vector<JournalRound>> JournalDb::unfinished() {
  if (problem_) return Failure(*problem_);
  std::vector<JournalRound> rounds;
  Statement select(db_.get(),
                   "SELECT plan, opened_unix_ms, state FROM rounds WHERE state NOT IN (?, ?) ORDER BY number");
  select.number(1, kEnded).number(2, kAborted);
  while (select.next()) {
    auto begin = round_at(select);
    if (!begin) return damaged(path_, "holds a round that can't be read");
    rounds.push_back(std::move(*begin));
  }
  if (!select.ok()) return failure("read");
  return rounds;
}

Result<std::optional<Message>> JournalDb::find(const RoundId& round) {
  if (problem_) return Failure(*problem_);
  Statement select(db_.get(), "SELECT status FROM rounds WHERE id = ? AND state IN (?, ?)");
  select.text(1, round.value).number(2, kEnded).number(3, kAborted);
  if (!select.next()) {
    if (!select.ok()) return failure("read");
    return std::optional<Message>();
  }
  auto message = decode(select.bytes_at(0), kOldestKeptVersion);
  if (!message) return damaged(path_, "holds a round that can't be read: " + round.value);
  return std::optional<Message>(std::move(*message));
}

Result<std::optional<JournalRound>> JournalDb::decided(const RoundId& round) {
  if (problem_) return Failure(*problem_);
  Statement select(db_.get(), "SELECT plan, opened_unix_ms, state FROM rounds WHERE id = ? AND state = ?");
  select.text(1, round.value).number(2, kDecided);
  if (!select.next()) return select.ok() ? Result<std::optional<JournalRound>>(std::nullopt) : failure("read");
  auto begin = round_at(select);
  if (!begin) return damaged(path_, "holds a round that can't be read: " + round.value);
  return begin;
}

Result<std::vector<RoundSummary>> JournalDb::history(const GroupId& group, std::size_t limit) {
  if (problem_) return Failure(*problem_);
  std::vector<RoundSummary> rounds;
  std::size_t unreadable = 0;
  Statement select(
      db_.get(),
      "SELECT status FROM rounds WHERE state IN (?1, ?4) AND (?2 = '' OR group_id = ?2) ORDER BY number DESC LIMIT ?3");
  select.number(1, kEnded).text(2, group.value).number(3, static_cast<std::int64_t>(limit)).number(4, kAborted);
  while (select.next()) {
    // One that can't be read is no reason to show none of the others.
    const auto message = decode(select.bytes_at(0), kOldestKeptVersion);
    if (!message || !std::holds_alternative<RoundStatus>(message->body)) ++unreadable;
    else rounds.push_back(summary_of(*message));
  }
  if (!select.ok()) return failure("read");
  if (unreadable > unreadable_) {
    unreadable_ = unreadable;
    spdlog::warn("journal {} holds {} rounds that can't be read; they are not listed", path_, unreadable);
  }
  return rounds;
}

}  // namespace lockstep::broker
