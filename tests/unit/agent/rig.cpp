#include "tests/unit/agent/rig.hpp"

#include <algorithm>

#include "tests/unit/support/message_text.hpp"

namespace lockstep::agent::test {

using lockstep::test::text_of;

std::vector<Message> Actions::to_broker() const {
  std::vector<Message> messages;
  for (const Action& action : all) {
    if (const auto* send = std::get_if<ToBroker>(&action)) messages.push_back(send->message);
  }
  return messages;
}

std::vector<Message> Actions::to_hook(HookId hook) const {
  std::vector<Message> messages;
  for (const Action& action : all) {
    const auto* send = std::get_if<ToHook>(&action);
    if (send != nullptr && send->hook == hook) messages.push_back(send->message);
  }
  return messages;
}

std::vector<std::string> Actions::lines() const {
  std::vector<std::string> lines;
  for (const Action& action : all) {
    if (const auto* send = std::get_if<ToBroker>(&action)) {
      if (!std::holds_alternative<Heartbeat>(send->message.body)) lines.push_back("broker < " + text_of(send->message));
    }
    const auto* send = std::get_if<ToHook>(&action);
    if (send == nullptr || std::holds_alternative<Alive>(send->message.body)) continue;
    lines.push_back("hook " + std::to_string(send->hook) + " < " + text_of(send->message) + (send->last ? ", last" : ""));
  }
  return lines;
}

std::string Actions::log() const { return lockstep::test::log_of<LogLine>(all); }

CoreSettings Rig::settings_of_a_sidecar() {
  CoreSettings settings;
  settings.in_doubt = milliseconds(10'000);
  settings.hello = {Role::agent, "agent-1", "boot-1", {pod(1).netns_inode}, false, {}};
  return settings;
}

Rig::Rig(CoreSettings settings) : core_(std::move(settings), network, now_) {}

Actions Rig::join(const std::string& broker) {
  published_ = 0;
  return broker_says({{}, {}, {}, 1, Welcome{broker, 500, 3'000, 0}});
}

Actions Rig::hook(HookId id, HookAction action, int number) {
  const HookEvent event{action, pod(number), 77, 5, 200 + number, {}, {}, {}};
  return hook_says(id, {kRound, kGroup, member(number), 1, event});
}

Actions Rig::hook_says(HookId id, Message message) {
  core_.on_hook_message(id, message, now_, out_);
  return take();
}

Actions Rig::closed(HookId id) {
  core_.on_hook_closed(id, now_, out_);
  return take();
}

Actions Rig::criu_gone(std::int32_t pid, std::uint64_t start) {
  core_.on_criu_gone(pid, start, out_);
  return take();
}

Actions Rig::order(Phase phase, int number, Operation operation) {
  Order order{.phase = phase, .operation = operation, .pod = pod(number), .root_pid = 200 + number, .netns_path = {},
              .lease_ms = 15'000, .socket_inodes = {}, .record = {}};
  const auto base = static_cast<std::uint64_t>(10 * number);
  if (phase == Phase::lock) order.socket_inodes = {base + 1, base + 2};
  if (phase == Phase::commit && operation == Operation::dump) order.record.bytes = "record";
  return broker_says({kRound, kGroup, member(number), 0, order});
}

Actions Rig::broker_says(Message message) {
  core_.on_broker_message(message, now_, out_);
  return take();
}

Actions Rig::publish(Release release, MemberId about, std::uint64_t skip) {
  published_ += 1 + skip;
  core_.on_publication({kRound, kGroup, std::move(about), published_, std::move(release)}, now_, out_);
  return take();
}

Actions Rig::release(Phase phase, Operation operation) {
  return publish({operation, phase, Verdict::go, {}, {}, false});
}

Actions Rig::round_ends(Verdict verdict, const std::string& reason) {
  return publish({Operation::dump, Phase::prepare, verdict, reason, {}, true});
}

Actions Rig::time() {
  core_.on_time(now_, out_);
  return take();
}

Actions Rig::pass(milliseconds duration, bool alive) {
  Actions all;
  const TimePoint end = now_ + duration;
  while (now_ < end) {
    now_ = std::min(end, std::max(core_.next_deadline(), now_ + milliseconds(1)));
    if (now_ < core_.next_deadline()) break;
    Actions turn = time();
    if (alive && !turn.to_broker().empty()) (void)broker_says({{}, {}, {}, 1, Heartbeat{}});
    all.all.insert(all.all.end(), turn.all.begin(), turn.all.end());
  }
  now_ = end;
  return all;
}

Actions Rig::shut_down() {
  core_.shut_down("its agent was stopped", out_);
  return take();
}

Actions Rig::take_over(int number) {
  network.locked.insert(pod(number).netns_inode);
  core_.take_over(pod(number), kRound, now_, out_);
  return take();
}

Actions Rig::start() {
  core_.start(now_, out_);
  return take();
}

void Rig::lock(int number) {
  (void)order(Phase::prepare, number);
  (void)order(Phase::lock, number);
}

void Rig::vote(HookId id, int number) {
  (void)hook(id, HookAction::post_dump, number);
  (void)order(Phase::commit, number);
  (void)hook_says(id, {kRound, kGroup, member(number), 1, Stored{true, {}}});
}

}  // namespace lockstep::agent::test
