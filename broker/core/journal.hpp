/// What the broker must remember beyond its own life. The real one is broker/journal_db.hpp; tests bring their own.
///
/// A decision is kept here before anybody hears of it. A round that is not in the journal was never decided: it counts as
/// aborted, so that an abort needs no entry to hold ("presumed abort").
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {

/// A round as it stands before its end: what a broker needs to take it up again.
struct JournalRound {
  RoundId id;
  GroupId group;
  OpenRound plan;  ///< when decided: with the pods that the hooks have told
  std::int64_t opened_unix_ms = 0;
  bool decided = false;  ///< to commit
};

/// A member in doubt asks for as long as this; its round may be some time older, and clocks are set.
inline constexpr std::int64_t kKeptForDoubtMs = std::int64_t{4} * 3'600'000;
/// Of committed rounds that young so many times as of others are kept, and no more.
inline constexpr std::size_t kMostForDoubt = 20;

/// What a list shows of a round's last word.
[[nodiscard]] RoundSummary summary_of(const Message& status);

/// Every call returns within the time of a few writes to the disk. What a call that fails has changed is not known: a
/// disk may keep what it could not promise to keep. After a failure the journal may be unreadable, and each call that
/// needs it says so: nobody guesses what might have stood there.
class Journal {
 public:
  virtual ~Journal() = default;

  virtual Result<void> open(const JournalRound& round) = 0;
  /// The decision to commit. On the disk when this returns.
  virtual Result<void> decide(const JournalRound& round) = 0;
  /// After a decide() that failed: whatever stands on the disk of it counts no more, and that is on the disk when this
  /// returns. Before, nobody may be told that the round has been aborted.
  virtual Result<void> undecide(const RoundId& round) = 0;
  /// The round's last word: a RoundStatus with the round's id and group. It is kept when this returns.
  virtual Result<void> end(const Message& status) = 0;
  /// After an end: forgets what is too old, and gets ready for the next round. What fails here has lost nothing.
  virtual Result<void> tidy() { return {}; }

  /// Rounds that have not ended, oldest first: what a broker finds when it starts.
  virtual Result<std::vector<JournalRound>> unfinished() = 0;
  /// The last word of a round that has ended; nothing when it is not known, or has not ended.
  virtual Result<std::optional<Message>> find(const RoundId& round) = 0;
  /// A round that was decided and has no last word here: it lives, or its end could not be kept.
  virtual Result<std::optional<JournalRound>> decided(const RoundId& round) = 0;
  /// The newest rounds that have ended, newest first; of all groups when `group` is empty.
  virtual Result<std::vector<RoundSummary>> history(const GroupId& group, std::size_t limit) = 0;
};

}  // namespace lockstep::broker
