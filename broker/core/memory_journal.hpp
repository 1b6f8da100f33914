/// A journal that lasts as long as the broker: for `journal: none`, and for tests. Rounds of a broker that died are
/// aborted by its successor, decided ones too: their members' records tell a whole set of images from a torn one.
#pragma once

#include <optional>
#include <vector>

#include "broker/core/journal.hpp"

namespace lockstep::broker {

class MemoryJournal : public Journal {
 public:
  explicit MemoryJournal(std::size_t kept = 1000) : kept_(kept) {}

  Result<void> open(const JournalRound& round) override {
    if (entries_.size() >= kept_ && entries_.front().status) entries_.erase(entries_.begin());
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

  std::size_t kept_;
  std::vector<Entry> entries_;  ///< oldest first
};

}  // namespace lockstep::broker
