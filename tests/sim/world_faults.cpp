// What goes wrong, and comes back.
#include <algorithm>
#include <utility>

#include "tests/sim/world.hpp"

namespace lockstep::sim {

void World::strike(const Fault& fault) {
  note([&] { return "FAULT " + text_of(fault); });
  const auto target = static_cast<std::size_t>(fault.target);
  const auto hook_of = [&] {
    return std::ranges::find_if(hooks_, [&](const auto& entry) { return entry.second.member == fault.target; });
  };
  switch (fault.kind) {
    case FaultKind::broker_crash:
      if (!broker_.core) return;
      if (fault.detail < 6) return crash_broker(fault.length);
      broker_.doom = fault;
      broker_.doom->detail -= 6;
      return;
    case FaultKind::broker_pause: broker_.stopped = pause(fault.length); return;
    case FaultKind::agent_crash:
      if (!places_[target]) return;
      if (fault.detail < 6) return crash_agent(fault.target, fault.length, false);
      agents_.at(*places_[target]).doom = fault;
      agents_.at(*places_[target]).doom->detail -= 6;
      return;
    case FaultKind::agent_stop: return crash_agent(fault.target, fault.length, true);
    case FaultKind::agent_pause:
      if (places_[target]) agents_.at(*places_[target]).stopped = pause(fault.length);
      return;
    case FaultKind::hook_kill:
      if (const auto hook = hook_of(); hook != hooks_.end()) end_hook(hook->first, HookEnd::killed, {});
      return;
    case FaultKind::hook_pause:
      if (const auto hook = hook_of(); hook != hooks_.end()) {
        hook->second.stopped = pause(fault.length);
        // It reads what has come before it looks at the clock (agent/hook/agent_connection.cpp, receive()).
        hook->second.stopped.deadlines_first = false;
      }
      return;
    case FaultKind::criu_kill: return kill_criu(fault.target);
    case FaultKind::criu_failure:
      if (criu_[target]) criu_[target]->criu.make_fail();
      return;
    case FaultKind::disk_full: disk_full_[target] = 1; return;
    case FaultKind::journal_failure:
      journal_.trouble = static_cast<DiskTrouble>(1 + fault.detail % kDiskTroubles);
      return later(fault.length, [this] { journal_.trouble = DiskTrouble::none; });
    case FaultKind::pod_failure: kernel_.find(setting_.pods[target])->sick_until = now_ + fault.length; return;
    case FaultKind::cut: {
      if (!places_[target]) return;
      const bool up = fault.detail % 3 != 1;
      const bool down = fault.detail % 3 != 2;
      return network_.cut(*places_[target], {up, down, fault.detail >= 6, now_ + fault.length});
    }
    case FaultKind::storm: {
      const int p = fault.detail;
      network_.weather = {dice_.below(p), dice_.below(p), dice_.below(p), dice_.below(2 * p), milliseconds(300)};
      return later(fault.length, [this] { network_.weather = {}; });
    }
    case FaultKind::operator_abort:
      if (next_round_ > 1) client_.abort(RoundId("r-" + std::to_string(next_round_ - 1)), now_);
      return;
    case FaultKind::command_failure: return client_.make_command_fail(setting_.members[target].id);
    case FaultKind::command_silence: return client_.mute_commands(now_ + fault.length);
  }
}

void World::kill_criu(int member) {
  auto& run = criu_[static_cast<std::size_t>(member)];
  if (!run) return;
  const auto hook = run->hook;
  end_criu(member, false);
  if (hook) end_hook(*hook, HookEnd::killed, {});  // the hook's parent-death signal
}

void World::crash_broker(Duration down) {
  if (!broker_.core) return;
  note([] { return std::string("the broker dies"); });
  broker_.core.reset();
  (void)broker_.out.take();
  broker_.doom.reset();
  network_.broker_down(dice_.one_in(2));
  later(down, [this] {
    if (!broker_.core) start_broker();
  });
}

void World::crash_agent(int place, Duration down, bool graceful) {
  const auto number = places_[static_cast<std::size_t>(place)];
  if (!number) return;
  stop_agent(*number, graceful, graceful || dice_.one_in(2), dice_.one_in(2));
  later(down, [this, place] {
    if (!places_[static_cast<std::size_t>(place)]) start_agent(place);
  });
}

void World::heal() {
  client_.heal();
  note([] { return std::string("all faults end"); });
  faults_.clear();
  next_fault_ = 0;
  journal_.trouble = DiskTrouble::none;
  std::ranges::fill(disk_full_, 0);
  for (const PodId& pod : setting_.pods) kernel_.find(pod)->sick_until = {};
  network_.heal(now_);
  broker_.stopped = {};
  broker_.doom.reset();
  for (auto& [number, agent] : agents_) {
    agent.stopped = {};
    agent.doom.reset();
  }
  for (auto& [number, hook] : hooks_) hook.stopped = {};
  if (!broker_.core) start_broker();
  for (std::size_t place = 0; place < places_.size(); ++place) {
    if (!places_[place]) start_agent(static_cast<int>(place));
  }
}

bool World::can_crash(Part part, int number, bool with_sent) const {
  const auto index = static_cast<std::size_t>(number);
  if (part == Part::hook) return criu_[index] && criu_[index]->hook;
  if (part == Part::agent && !places_[index]) return false;
  bool found = !with_sent;
  network_.each_channel([&](Way way, std::uint64_t sender, const Channel& channel) {
    const bool by_part = part == Part::broker ? way == Way::down || way == Way::news
                                              : way == Way::up && static_cast<PeerNumber>(sender) == *places_[index];
    found = found || (by_part && !channel.empty());
  });
  return found;
}

void World::crash(Part part, int number, bool sent_arrives) {
  remember_crash(part, number, sent_arrives);
  if (part == Part::broker && broker_.core) {
    note([] { return std::string("the broker dies"); });
    broker_.core.reset();
    network_.broker_down(sent_arrives);
    start_broker();
  }
  if (part == Part::agent && places_[static_cast<std::size_t>(number)]) {
    stop_agent(*places_[static_cast<std::size_t>(number)], false, sent_arrives, true);
    start_agent(number);
  }
  if (part == Part::hook && criu_[static_cast<std::size_t>(number)]) {
    if (const auto hook = criu_[static_cast<std::size_t>(number)]->hook) end_hook(*hook, HookEnd::killed, {});
  }
}

}  // namespace lockstep::sim
