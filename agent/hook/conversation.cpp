#include "agent/hook/conversation.hpp"

#include <algorithm>
#include <utility>

namespace lockstep::hook {
namespace {

Step abort_because(std::string reason) { return Step{Step::Kind::abort, std::move(reason), {}}; }

}  // namespace

Conversation::Conversation(Message event, Patience patience, TimePoint now)
    : event_(std::move(event)),
      action_(std::get<HookEvent>(event_.body).action),
      patience_(patience),
      end_(now + patience.limit),
      heard_(now) {}

bool Conversation::in_doubt() const {
  // On dump the agent votes when the record is stored; on restore it votes without asking the hook.
  return action_ == HookAction::post_restore || (action_ == HookAction::post_dump && stored_);
}

TimePoint Conversation::deadline() const { return std::min(end_, retry_at_.value_or(heard_ + patience_.silence)); }

Step Conversation::on_lost(const Error& why, TimePoint now) {
  if (!in_doubt()) return abort_because(why.message());
  std::get<HookEvent>(event_.body).in_doubt = true;
  retry_at_ = now + patience_.retry;
  return {};
}

Step Conversation::on_time(TimePoint now) {
  if (now >= end_) return abort_because("no verdict within " + std::to_string(patience_.limit.count()) + " ms");
  if (now < deadline()) return {};
  const bool silent = !retry_at_;
  if (silent && !in_doubt()) {
    return abort_because("not a word for " + std::to_string(patience_.silence.count()) + " ms");
  }
  std::get<HookEvent>(event_.body).in_doubt = true;
  retry_at_.reset();
  heard_ = now;
  return Step{Step::Kind::connect, {}, {}};
}

Step Conversation::on(Message message, TimePoint now) {
  heard_ = now;
  if (!event_.round.empty() && !message.round.empty() && message.round != event_.round) {
    return abort_because("the agent answered for round " + message.round.value + ", this is round " +
                         event_.round.value);
  }
  // What the hook did not know itself. Should it have to ask somebody else, it asks about this very round: by then
  // another one of its group may be open, or none.
  if (event_.round.empty()) event_.round = message.round;
  if (event_.group.empty()) event_.group = message.group;
  if (event_.member.empty()) event_.member = message.member;
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
