/// A journal that lasts as long as the broker: for `journal: none`, and for tests. Rounds of a broker that died are
/// aborted by its successor, decided ones too: their members' records tell a whole set of images from a torn one.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "broker/core/journal.hpp"

namespace lockstep::broker {

class MemoryJournal : public Journal {
 public:
  explicit MemoryJournal(std::size_t kept = 1000) : kept_(kept) {}

  Result<void> open(const JournalRound& round) override {
    forget(round.opened_unix_ms);
    entries_.push_back({round, std::nullopt});
    return {};
  }
  Result<void> decide(const JournalRound& round) override {
    for (Entry& entry : entries_) {
      if (entry.round.id == round.id) entry.round = round;
    }
    return {};
  }
  Result<void> undecide(const RoundId& round) override {
    for (Entry& entry : entries_) {
      if (entry.round.id == round) entry.round.decided = false;
    }
    return {};
  }
  Result<void> end(const Message& status) override {
    for (Entry& entry : entries_) {
      if (entry.round.id == status.round) entry.status = status;
    }
    return {};
  }
  Result<std::vector<JournalRound>> unfinished() override {
    std::vector<JournalRound> rounds;
    for (const Entry& entry : entries_) {
      if (!entry.status) rounds.push_back(entry.round);
    }
    return rounds;
  }
  Result<std::optional<Message>> find(const RoundId& round) override {
    for (const Entry& entry : entries_) {
      if (entry.round.id == round) return entry.status;
    }
    return std::optional<Message>();
  }
  Result<std::optional<JournalRound>> decided(const RoundId& round) override {
    for (const Entry& entry : entries_) {
      if (entry.round.id == round && !entry.status && entry.round.decided) return std::optional(entry.round);
    }
    return std::optional<JournalRound>();
  }
  Result<std::vector<RoundSummary>> history(const GroupId& group, std::size_t limit) override {
    std::vector<RoundSummary> rounds;
    for (auto entry = entries_.rbegin(); entry != entries_.rend() && rounds.size() < limit; ++entry) {
      if (entry->status && (group.empty() || entry->round.group == group)) rounds.push_back(summary_of(*entry->status));
    }
    return rounds;
  }

 private:
  struct Entry {
    JournalRound round;
    std::optional<Message> status;
  };

  /// The oldest that has ended, beyond what is kept. Aborted rounds don't push out committed ones: whoever asks for a
  /// round that is not known hears that it was aborted.
  void forget(std::int64_t now_unix_ms) {
    for (const bool aborted : {true, false}) {
      const auto is_one = [&](const Entry& entry) {
        return entry.status && (summary_of(*entry.status).state == RoundState::aborted) == aborted;
      };
      const auto count = static_cast<std::size_t>(std::ranges::count_if(entries_, is_one));
      const auto oldest = std::ranges::find_if(entries_, is_one);
      if (oldest == entries_.end() || count < kept_) continue;
      const bool old = oldest->round.opened_unix_ms < now_unix_ms - kKeptForDoubtMs;
      if (aborted || old || count >= kMostForDoubt * kept_) entries_.erase(oldest);
    }
  }

  std::size_t kept_;
  std::deque<Entry> entries_;  ///< oldest first
};

}  // namespace lockstep::broker
