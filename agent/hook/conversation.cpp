#include "agent/hook/conversation.hpp"

#include <utility>

namespace lockstep::hook {
namespace {

Step abort_because(std::string reason) { return Step{Step::Kind::abort, std::move(reason), {}}; }

}  // namespace

Step Conversation::on(Message message) {
  if (!round_.empty() && !message.round.empty() && message.round != round_) {
    return abort_because("the agent answered for round " + message.round.value + ", this is round " + round_.value);
  }
  if (std::holds_alternative<Alive>(message.body)) return {};
  if (auto* store = std::get_if<Store>(&message.body)) return on_store(*store);
  if (const auto* answer = std::get_if<Answer>(&message.body)) return on_answer(*answer);
  return abort_because("the agent sent a " + std::string(type_name(message.body)) + ", which no hook understands");
}

Step Conversation::on_store(Store& store) const {
  if (action_ != HookAction::post_dump) {
    return abort_because("the agent sent a record to store in " + std::string(to_string(action_)));
  }
  if (store.record.empty()) return abort_because("the agent sent an empty record to store");
  return Step{Step::Kind::store, {}, std::move(store.record.bytes)};
}

Step Conversation::on_answer(const Answer& answer) const {
  if (answer.verdict == Verdict::abort) {
    return abort_because("round aborted: " + (answer.reason.empty() ? "no reason given" : answer.reason));
  }
  if (action_ == HookAction::post_dump && !stored_) {
    return abort_because("the agent let the checkpoint commit, but no record of it has been stored");
  }
  return Step{Step::Kind::go, {}, {}};
}

}  // namespace lockstep::hook
