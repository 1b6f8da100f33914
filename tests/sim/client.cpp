#include "tests/sim/client.hpp"

#include <algorithm>

namespace lockstep::sim {
namespace {

constexpr milliseconds kRetry{200};
/// As long as `lockstep` waits for an answer of the broker.
constexpr milliseconds kPatience{5'000};

}  // namespace

void Client::open(RoundId round, GroupId group, OpenRound plan, TimePoint now) {
  const std::uint64_t number = ++sequence_;
  opening_.push_back({Message{std::move(round), std::move(group), {}, number, std::move(plan)}, now + kPatience});
  next_ = now;
}

void Client::tell_result(const RoundId& round, const MemberId& member, bool ok, TimePoint now) {
  results_.push_back({round, member, ok, now + kPatience});
  next_ = now;
}

void Client::abort(const RoundId& round, TimePoint now) {
  aborts_.push_back(round);
  next_ = now;
}

void Client::on_message(const Message& message) {
  if (std::holds_alternative<Welcome>(message.body)) {
    welcome_ = true;
    next_ = TimePoint::min();
    return;
  }
  if (const auto* refused = std::get_if<Refused>(&message.body)) {
    if (refused->say_hello) {
      welcome_ = false;
      next_ = TimePoint::min();
    }
    return;
  }
  const auto* status = std::get_if<RoundStatus>(&message.body);
  if (status == nullptr) return;
  const auto is_it = [&](const Opening& opening) { return opening.message.round == message.round; };
  if (std::erase_if(opening_, is_it) > 0 && status->state == RoundState::open) opened_.push_back(message.round);
  std::erase_if(results_,
                [&](const Result& result) { return result.round == message.round && result.member == message.member; });
}

std::vector<Message> Client::on_time(TimePoint now) {
  std::vector<Message> messages;
  std::erase_if(opening_, [&](const Opening& opening) { return now >= opening.give_up; });
  std::erase_if(results_, [&](const Result& result) { return now >= result.give_up; });
  if (now < next_ || idle()) return messages;
  next_ = now + kRetry;
  if (!welcome_) {
    messages.push_back(Message{{}, {}, {}, ++sequence_, Hello{Role::client, "cli", "boot-1", {}, false, {}}});
    return messages;
  }
  for (const Opening& opening : opening_) messages.push_back(opening.message);
  for (const Result& result : results_) {
    messages.push_back(Message{result.round, {}, result.member, ++sequence_, MemberResult{result.ok, "ended"}});
  }
  // Said once: an operator who sees no answer looks again.
  for (const RoundId& round : std::exchange(aborts_, {})) {
    messages.push_back(Message{round, {}, {}, ++sequence_, AbortRound{"enough"}});
  }
  return messages;
}

}  // namespace lockstep::sim
