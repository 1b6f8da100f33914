/// What the hook's agent says, or fails to say, means to the hook. Pure: the shell (session.hpp) does what a step says.
#pragma once

#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook {

/// What to do next.
struct Step {
  enum class Kind {
    wait,     ///< for the next message, until deadline()
    store,    ///< write `record` as the part file, call stored(), and answer Stored
    connect,  ///< open another connection and say event() on it; on_lost() when that fails
    go,       ///< the member may go on: give the record its final name where there is one, and exit with 0
    abort,    ///< exit with 1, for `reason`
  };
  Kind kind = Kind::wait;
  std::string reason;
  std::string record;
};

struct Patience {
  milliseconds silence{5'000};    ///< the longest wait for a word from the agent
  milliseconds limit{3'600'000};  ///< the longest wait for the verdict
  milliseconds retry{200};        ///< between two connections
};

/// One hook's talk with its agent, from its event to the verdict.
///
/// Whatever does not belong at this point of it ends in abort: a hook that can't tell what it was told must not let CRIU
/// go on. So does silence, and the agent's end, until the member's vote may be out. From then on the round may have been
/// committed: only the broker's word counts, and the hook looks for somebody who has it until its limit is reached.
class Conversation {
 public:
  /// `event` is a HookEvent; its round is empty when the hook does not know it. The first connection is made already.
  Conversation(Message event, Patience patience, TimePoint now);

  /// What to say first on each connection.
  [[nodiscard]] const Message& event() const { return event_; }
  [[nodiscard]] Step on(Message message, TimePoint now);
  /// How the last `store` step went.
  void stored(bool ok) { stored_ = ok; }
  /// The connection has broken, or could not be made.
  [[nodiscard]] Step on_lost(const Error& why, TimePoint now);
  /// To be called at deadline().
  [[nodiscard]] Step on_time(TimePoint now);
  [[nodiscard]] TimePoint deadline() const;
  /// The vote may be out.
  [[nodiscard]] bool in_doubt() const;

 private:
  [[nodiscard]] Step on_store(Store& store) const;
  [[nodiscard]] Step on_answer(const Answer& answer) const;

  Message event_;
  HookAction action_;
  Patience patience_;
  TimePoint end_;
  TimePoint heard_;
  std::optional<TimePoint> retry_at_;  ///< while there is no connection
  bool stored_ = false;
};

}  // namespace lockstep::hook
