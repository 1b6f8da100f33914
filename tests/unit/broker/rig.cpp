#include "tests/unit/broker/rig.hpp"

#include <algorithm>

#include "schemas/codec.hpp"
#include "tests/unit/support/message_text.hpp"

namespace lockstep::broker::test {

using lockstep::test::text_of;

constexpr std::int64_t kUnixMs = 1'700'000'000'000;

HookAction action_of(Operation operation, std::size_t index) {
  constexpr std::array kDump{HookAction::pre_dump, HookAction::network_lock, HookAction::post_dump,
                             HookAction::network_unlock};
  constexpr std::array kRestore{HookAction::pre_restore, HookAction::setup_namespaces, HookAction::post_restore,
                                HookAction::network_unlock};
  return operation == Operation::dump ? kDump.at(index) : kRestore.at(index);
}

HookEvent hook(HookAction action, int number) {
  HookEvent event{.action = action, .pod = pod(number), .criu_pid = 100 + number, .criu_start = 5, .root_pid = 200 + number,
                  .container = {}, .socket_inodes = {}, .record = {}};
  if (action == HookAction::network_lock) event.socket_inodes = {10, 11};
  return event;
}

OpenRound plan(Operation operation, int members, bool leave_running) {
  OpenRound open;
  open.operation = operation;
  open.leave_running = leave_running;
  for (int i = 1; i <= members; ++i) open.members.push_back({member(i), pod(i), {}, "c" + std::to_string(i) + "-0123456789ab"});
  return open;
}

Record record(int number, int members, const RoundId& round) {
  Record record;
  record.round = round;
  record.group = kGroup;
  record.member = member(number);
  for (int i = 1; i <= members; ++i) record.members.push_back(member(i));
  return record;
}

std::vector<Message> Actions::sent_to(const PeerId& peer) const {
  std::vector<Message> messages;
  for (const Action& action : all) {
    const auto* send = std::get_if<SendTo>(&action);
    if (send != nullptr && send->peer == peer) messages.push_back(send->message);
  }
  return messages;
}

std::vector<Message> Actions::published(std::string_view topic) const {
  std::vector<Message> messages;
  for (const Action& action : all) {
    const auto* publish = std::get_if<Publish>(&action);
    if (publish != nullptr && publish->topic == topic) messages.push_back(publish->message);
  }
  return messages;
}

std::vector<std::string> Actions::lines() const {
  std::vector<std::string> lines;
  for (const Action& action : all) {
    if (const auto* send = std::get_if<SendTo>(&action)) lines.push_back(send->peer.value + " < " + text_of(send->message));
    const auto* publish = std::get_if<Publish>(&action);
    if (publish != nullptr && publish->topic == kReleaseTopic) lines.push_back("PUB " + text_of(publish->message));
  }
  return lines;
}

std::string Actions::log() const { return lockstep::test::log_of<LogLine>(all); }

Rig::Rig(CoreSettings settings) : journal_(own_journal_), core_(std::move(settings), journal_, now_, kUnixMs) {}

Rig::Rig(Journal& journal, CoreSettings settings)
    : journal_(journal), core_(std::move(settings), journal_, now_, kUnixMs) {
  core_.recover(now_, out_);
  recovered_ = take();
}

Actions Rig::take() {
  Actions actions{out_.take()};
  for (const Action& action : actions.all) {
    if (const auto* archive = std::get_if<Archive>(&action)) (void)journal_.end(archive->status);
  }
  return actions;
}

Actions Rig::hello(const PeerId& from, Hello hello) { return say(from, Message{{}, {}, {}, 1, std::move(hello)}); }

void Rig::everybody_says_hello(int count) {
  for (int i = 1; i <= count; ++i) {
    (void)hello(agent(i), {Role::agent, "agent-" + std::to_string(i), "boot-1", {pod(i).netns_inode}, false, {}});
  }
  (void)hello(kClient, {Role::client, "cli", {}, {}, false, {}});
}

Actions Rig::say(const PeerId& from, Message message) {
  core_.on_message(from, message, now_, out_);
  return take();
}

Actions Rig::say(const PeerId& from, int number, Body body, std::uint64_t sequence) {
  return say(from, Message{kRound, kGroup, member(number), sequence, std::move(body)});
}

Actions Rig::ask(Body body) { return say(kClient, Message{kRound, kGroup, {}, 3, std::move(body)}); }

Actions Rig::open(const OpenRound& plan) {
  operation_ = plan.operation;
  members_ = static_cast<int>(plan.members.size());
  return ask(plan);
}

Actions Rig::time() {
  core_.on_time(now_, out_);
  return take();
}

Actions Rig::pass(milliseconds duration, int alive) {
  Actions all;
  const auto add = [&](Actions more) { all.all.insert(all.all.end(), more.all.begin(), more.all.end()); };
  const TimePoint end = now_ + duration;
  while (now_ < end) {
    // As the shell does it; and no time ever comes twice.
    now_ = std::min(end, std::max(core_.next_deadline(), now_ + milliseconds(1)));
    for (int i = 1; i <= alive; ++i) (void)say(agent(i), Message{{}, {}, {}, 1, Heartbeat{}});
    if (now_ >= core_.next_deadline()) add(time());
  }
  return all;
}

Actions Rig::lose(const PeerId& peer) {
  core_.on_unroutable(peer, now_, out_);
  return take();
}

Actions Rig::arrive(int number, std::size_t phase) {
  HookEvent event = hook(action_of(operation_, phase), number);
  if (event.action == HookAction::pre_restore) event.record.bytes = encode_record(record(number, members_));
  return say(agent(number), number, std::move(event));
}

Actions Rig::ready(int number, std::size_t phase) {
  return say(agent(number), number, Ready{phases_of(operation_)[phase], true, {}, {}, {}}, 8);
}

void Rig::walk(int members, std::size_t phases) {
  for (std::size_t phase = 0; phase < phases; ++phase) {
    for (int i = 1; i <= members; ++i) (void)arrive(i, phase);
    for (int i = 1; i <= members; ++i) (void)ready(i, phase);
  }
}

RoundStatus Rig::status(const RoundId& round) {
  const Actions actions = say(kClient, Message{round, kGroup, {}, 3, GetRound{}});
  const auto answers = actions.sent_to(kClient);
  return answers.empty() || !std::holds_alternative<RoundStatus>(answers.back().body)
             ? RoundStatus{}
             : std::get<RoundStatus>(answers.back().body);
}

BrokerStatus Rig::broker() {
  const Actions actions = say(kClient, Message{{}, {}, {}, 4, GetStatus{}});
  return std::get<BrokerStatus>(actions.sent_to(kClient).back().body);
}

}  // namespace lockstep::broker::test
