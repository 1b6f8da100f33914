/// The broker's journal in an SQLite file: write-ahead log, each decision synced to the disk.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "broker/core/journal.hpp"

namespace lockstep::broker {

/// One broker at a time: the file is locked while it is open. One thread.
class JournalDb : public Journal {
 public:
  /// Opens the file, or makes it and its folder; it keeps the newest `kept` aborted and `kept` committed rounds, and of
  /// the latter all that somebody may still ask for. Fails where the path can't be used at all, or another broker has
  /// it. A file that is damaged gives a journal whose every call fails with `problem()`.
  [[nodiscard]] static Result<std::unique_ptr<JournalDb>> create(const std::string& path, std::size_t kept = 1000);

  Result<void> open(const JournalRound& round) override;
  Result<void> decide(const JournalRound& round) override;
  Result<void> undecide(const RoundId& round) override;
  Result<void> end(const Message& status) override;
  Result<void> tidy() override;
  Result<std::vector<JournalRound>> unfinished() override;
  Result<std::optional<Message>> find(const RoundId& round) override;
  Result<std::optional<JournalRound>> decided(const RoundId& round) override;
  Result<std::vector<RoundSummary>> history(const GroupId& group, std::size_t limit) override;

  /// Why nothing can be read or written; nothing when all is well.
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const { ::sqlite3_close_v2(db); }
  };
  class Statement;

  JournalDb(std::string path, std::unique_ptr<sqlite3, Close> db, std::size_t kept)
      : path_(std::move(path)), db_(std::move(db)), kept_(kept) {}
  /// Of a row of plan, opened_unix_ms and state.
  [[nodiscard]] static std::optional<JournalRound> round_at(const Statement& row);
  Result<void> prepare_file();
  Result<void> run(const char* sql);
  /// Copies the log into the file; `truncate`: and makes the log empty, on the disk.
  Result<void> write_back(bool truncate);
  Result<std::int64_t> number(const char* sql);
  [[nodiscard]] Failure failure(const std::string& doing) const;

  std::string path_;
  std::unique_ptr<sqlite3, Close> db_;
  std::size_t kept_;
  std::optional<Error> problem_;
  std::size_t unreadable_ = 0;  ///< rounds that history() has left out
};

}  // namespace lockstep::broker
