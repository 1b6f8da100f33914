/// A journal on a disk that outlives the broker, and what may be wrong with that disk.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/memory_journal.hpp"

namespace lockstep::sim {

enum class DiskTrouble : std::uint8_t {
  none,
  takes_nothing,          ///< every call fails, and changes nothing
  fails_to_sync,          ///< what is written stays, and is said to have failed; taking it back works
  fails_to_sync_and_dies  ///< the same once, then it takes nothing
};
inline constexpr int kDiskTroubles = 3;  ///< but none

class DurableJournal : public broker::Journal {
 public:
  /// `decided` hears of each decision, and whether it stands there (or no more), at the moment of its writing.
  explicit DurableJournal(std::function<void(const RoundId&, bool)> decided) : decided_(std::move(decided)) {}
  DiskTrouble trouble = DiskTrouble::none;

  Result<void> open(const broker::JournalRound& round) override {
    return write([&] { return disk_.open(round); });
  }
  Result<void> decide(const broker::JournalRound& round) override {
    return write([&] {
      auto kept = disk_.decide(round);
      decided_(round.id, true);
      return kept;
    });
  }
  Result<void> undecide(const RoundId& round) override {
    if (trouble == DiskTrouble::takes_nothing) return failure();
    auto taken = disk_.undecide(round);
    decided_(round, false);
    return taken;
  }
  Result<void> end(const Message& status) override {
    return write([&] { return disk_.end(status); });
  }
  Result<std::vector<broker::JournalRound>> unfinished() override {
    if (trouble == DiskTrouble::takes_nothing) return Failure(failure());
    return disk_.unfinished();
  }
  Result<std::optional<Message>> find(const RoundId& round) override {
    if (trouble == DiskTrouble::takes_nothing) return Failure(failure());
    return disk_.find(round);
  }
  Result<std::optional<broker::JournalRound>> decided(const RoundId& round) override {
    if (trouble == DiskTrouble::takes_nothing) return Failure(failure());
    return disk_.decided(round);
  }
  Result<std::vector<RoundSummary>> history(const GroupId& group, std::size_t limit) override {
    if (trouble == DiskTrouble::takes_nothing) return Failure(failure());
    return disk_.history(group, limit);
  }

 private:
  [[nodiscard]] static Failure failure() { return fail(ErrorCode::system, "write the journal", "no space left"); }
  template <class Change>
  Result<void> write(const Change& change) {
    if (trouble == DiskTrouble::takes_nothing) return failure();
    auto done = change();
    if (trouble == DiskTrouble::none) return done;
    if (trouble == DiskTrouble::fails_to_sync_and_dies) trouble = DiskTrouble::takes_nothing;
    return failure();
  }

  std::function<void(const RoundId&, bool)> decided_;
  broker::MemoryJournal disk_;
};

}  // namespace lockstep::sim
