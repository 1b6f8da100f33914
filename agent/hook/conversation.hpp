/// What each of the agent's messages means to the hook. Pure: the shell (session.hpp) does what a step says.
#pragma once

#include <string>

#include "schemas/messages.hpp"

namespace lockstep::hook {

/// What to do next.
struct Step {
  enum class Kind {
    wait,   ///< for the next message
    store,  ///< write `record` as the part file, call stored(), and answer Stored
    go,     ///< the member may go on: give the record its final name where there is one, and exit with 0
    abort,  ///< exit with 1, for `reason`
  };
  Kind kind = Kind::wait;
  std::string reason;
  std::string record;
};

/// One hook's talk with its agent. Whatever does not belong at this point of it ends in abort: a hook that can't tell
/// what it was told must not let CRIU go on.
class Conversation {
 public:
  /// `round`: empty when the hook does not know it.
  Conversation(HookAction action, RoundId round) : action_(action), round_(std::move(round)) {}

  [[nodiscard]] Step on(Message message);
  /// How the last `store` step went.
  void stored(bool ok) { stored_ = ok; }

 private:
  [[nodiscard]] Step on_store(Store& store) const;
  [[nodiscard]] Step on_answer(const Answer& answer) const;

  HookAction action_;
  RoundId round_;
  bool stored_ = false;
};

}  // namespace lockstep::hook
