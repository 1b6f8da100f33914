#include "tests/sim/client.hpp"

#include <algorithm>

namespace lockstep::sim {
namespace {

constexpr milliseconds kRetry{200};
/// As long as `lockstep` waits for an answer of the broker.
constexpr milliseconds kPatience{5'000};

}  // namespace

void Client::open(RoundId round, GroupId group, OpenRound plan, std::vector<Duration> takes, TimePoint now) {
  for (std::size_t i = 0; i < plan.members.size(); ++i) {
    if (plan.members[i].frozen_commands) commands_.push_back({round, plan.members[i].id, takes[i], false, {}, {}});
  }
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
    } else {
      std::erase_if(commands_, [&](const Command& command) { return command.round == message.round; });
    }
    return;
  }
  if (const auto* status = std::get_if<RoundStatus>(&message.body)) take_status(message, *status);
}

void Client::take_status(const Message& message, const RoundStatus& status) {
  const auto is_it = [&](const Opening& opening) { return opening.message.round == message.round; };
  if (std::erase_if(opening_, is_it) > 0 && status.state == RoundState::open) opened_.push_back(message.round);
  std::erase_if(results_,
                [&](const Result& result) { return result.round == message.round && result.member == message.member; });
  std::erase_if(commands_, [&](const Command& command) {
    if (command.round != message.round) return false;
    const auto known = [&](const MemberStatus& member) { return member.id == command.member && !member.commands.empty(); };
    return status.state != RoundState::open || std::ranges::any_of(status.members, known);
  });
  if (status.hold_begin_us < 0 || status.hold_end_us >= 0) return;
  for (Command& command : commands_) {
    if (command.round != message.round || command.wanted) continue;
    command.wanted = true;
    next_ = TimePoint::min();
  }
}

void Client::heal() {
  failing_.clear();
  commands_mute_until_ = {};
}

TimePoint Client::next_deadline() const {
  TimePoint next = idle() ? TimePoint::max() : next_;
  for (const Command& command : commands_) {
    if (command.ends && !command.ended) next = std::min(next, *command.ends);
  }
  return next;
}

void Client::say_commands(TimePoint now, std::vector<Message>& messages) {
  for (Command& command : commands_) {
    if (command.wanted && !command.ends) command.ends = now + command.takes;
    const bool ends_now = command.ends && !command.ended && now >= *command.ends;
    if (ends_now) {
      const bool fails = std::erase(failing_, command.member) > 0;
      command.ended = fails ? CommandState::failed : CommandState::succeeded;
      if (!fails) on_command_done(command.round, command.member);
    }
    if (!command.ends || now < commands_mute_until_) continue;
    CommandReport report{CommandMoment::frozen, command.ended.value_or(CommandState::running), {}};
    if (command.ended) report.commands = {{report.moment, "copy", *command.ended == CommandState::succeeded, 1, {}}};
    messages.push_back(Message{command.round, {}, command.member, ++sequence_, std::move(report)});
  }
  // What the broker thinks of rounds with commands is asked again and again, as `lockstep` does.
  std::vector<RoundId> rounds;
  for (const Command& command : commands_) rounds.push_back(command.round);
  rounds.erase(std::unique(rounds.begin(), rounds.end()), rounds.end());
  for (const RoundId& round : rounds) messages.push_back(Message{round, {}, {}, ++sequence_, GetRound{}});
}

std::vector<Message> Client::on_time(TimePoint now) {
  std::vector<Message> messages;
  std::erase_if(opening_, [&](const Opening& opening) {
    if (now < opening.give_up) return false;
    std::erase_if(commands_, [&](const Command& command) { return command.round == opening.message.round; });
    return true;
  });
  std::erase_if(results_, [&](const Result& result) { return now >= result.give_up; });
  if (now < next_deadline() || idle()) return messages;
  next_ = now + kRetry;
  if (!welcome_) {
    messages.push_back(Message{{}, {}, {}, ++sequence_, Hello{Role::client, "cli", "boot-1", {}, false, {}}});
    return messages;
  }
  for (const Opening& opening : opening_) messages.push_back(opening.message);
  say_commands(now, messages);
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
