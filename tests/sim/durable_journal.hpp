/// A journal on a disk that outlives the broker and can be told to fail. A call that fails changes nothing.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/memory_journal.hpp"

namespace lockstep::sim {

class DurableJournal : public broker::Journal {
 public:
  /// `decided` hears of each decision at the moment in which it is on the disk.
  explicit DurableJournal(std::function<void(const RoundId&)> decided) : decided_(std::move(decided)) {}
  bool failing = false;

  Result<void> open(const broker::JournalRound& round) override {
    if (failing) return failure();
    return disk_.open(round);
  }
  Result<void> decide(const broker::JournalRound& round) override {
    if (failing) return failure();
    auto kept = disk_.decide(round);
    decided_(round.id);
    return kept;
  }
  Result<void> end(const Message& status) override {
    if (failing) return failure();
    return disk_.end(status);
  }
  Result<std::vector<broker::JournalRound>> unfinished() override {
    if (failing) return Failure(failure());
    return disk_.unfinished();
  }
  Result<std::optional<Message>> find(const RoundId& round) override {
    if (failing) return Failure(failure());
    return disk_.find(round);
  }
  Result<std::vector<RoundSummary>> history(const GroupId& group, std::size_t limit) override {
    if (failing) return Failure(failure());
    return disk_.history(group, limit);
  }

 private:
  [[nodiscard]] static Failure failure() { return fail(ErrorCode::system, "write the journal", "no space left"); }

  std::function<void(const RoundId&)> decided_;
  broker::MemoryJournal disk_;
};

}  // namespace lockstep::sim
