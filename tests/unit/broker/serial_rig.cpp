#include "tests/unit/broker/serial_rig.hpp"

#include "schemas/codec.hpp"

namespace lockstep::broker::test {
namespace {

Rig make_rig(Journal* journal) { return journal != nullptr ? Rig(*journal) : Rig(); }

PodId pod_of(int number) { return pod(number == 3 ? 2 : 1); }

}  // namespace

SerialRig::SerialRig(Journal* journal) : rig(make_rig(journal)) { rig.everybody_says_hello(2); }

OpenRound SerialRig::serial_plan(MemberOrder order) {
  OpenRound open = plan(Operation::dump, 3, true);
  open.order = order;
  for (int number = 1; number <= 3; ++number) open.members[static_cast<std::size_t>(number - 1)].pod = pod_of(number);
  return open;
}

Actions SerialRig::arrive(int number, std::size_t phase) {
  HookEvent event = hook(action_of(Operation::dump, phase), number);
  event.pod = pod_of(number);
  return rig.say(agent_of(number), number, std::move(event));
}

Actions SerialRig::ready(int number, std::size_t phase, SocketTable sockets) {
  Ready ready{kDumpPhases.at(phase), true, {}, {}, std::move(sockets)};
  return rig.say(agent_of(number), number, std::move(ready), 8);
}

Actions SerialRig::pass(int number, std::size_t phase, SocketTable sockets) {
  (void)arrive(number, phase);
  return ready(number, phase, std::move(sockets));
}

void SerialRig::walk_to_early() {
  for (const std::size_t phase : {kPreparePhase, kLockPhase}) {
    for (const int number : {1, 3}) (void)pass(number, phase);
  }
  (void)pass(1, kCommitPhase);
}

void SerialRig::walk_to_votes() {
  walk_to_early();
  (void)arrive(1, kUnlockPhase);
  (void)arrive(3, kCommitPhase);
  (void)arrive(2, kPreparePhase);
  (void)pass(2, kLockPhase);
  (void)arrive(2, kCommitPhase);
}

Record SerialRig::record_in(const Actions& actions, int number) {
  for (const Message& message : actions.sent_to(agent_of(number))) {
    const auto* order = std::get_if<Order>(&message.body);
    if (order == nullptr || order->phase != Phase::commit || message.member != member(number)) continue;
    if (const auto record = decode_record(order->record.bytes)) return *record;
  }
  return {};
}

}  // namespace lockstep::broker::test
