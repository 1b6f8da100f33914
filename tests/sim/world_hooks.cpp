// CRIU, its hooks and their images folders.
#include <algorithm>
#include <utility>

#include "tests/sim/world.hpp"

namespace lockstep::sim {

// --- CRIU -----------------------------------------------------------------------------------------------------------

void World::start_criu(const RoundId& round, int member) {
  auto& run = criu_[static_cast<std::size_t>(member)];
  if (run) return;  // one of a round that the client has lost sight of still runs
  const RoundStory& story = stories_.at(round);
  run.emplace(CriuRun{Criu(story.operation, story.leave_running), round, next_pid_++, Criu::Next::hook, {}, {}});
  run->busy_until = now_ + work_time(milliseconds(5));
}

bool World::one_by_one(const RoundId& round) const {
  return setting_.one_by_one && stories_.at(round).operation == Operation::dump;
}

void World::start_criu_of(const RoundId& round) {
  std::set<int> pods;
  for (const int member : stories_.at(round).members) {
    const bool first = pods.insert(setting_.members[static_cast<std::size_t>(member)].pod).second;
    if (first || !one_by_one(round)) start_criu(round, member);
  }
}

void World::close_sockets(int member) {
  const MemberSetting& plan = setting_.members[static_cast<std::size_t>(member)];
  SocketTable& sockets = kernel_.find(setting_.pods[static_cast<std::size_t>(plan.pod)])->sockets;
  for (const Socket& socket : plan.sockets) std::erase(sockets, socket);
}

void World::start_next_criu(const RoundId& round, int member) {
  const int pod = setting_.members[static_cast<std::size_t>(member)].pod;
  for (const int next : stories_.at(round).members) {
    if (next > member && setting_.members[static_cast<std::size_t>(next)].pod == pod) return start_criu(round, next);
  }
}

Duration World::work_time(Duration most) {
  // The explorer wants the same time on every path.
  return network_.instant ? milliseconds(1) : dice_.between(microseconds(300), most);
}

void World::criu_turn(int member) {
  CriuRun& run = *criu_[static_cast<std::size_t>(member)];
  run.busy_until.reset();
  if (run.doing == Criu::Next::hook) return start_hook(member);
  const MemberSetting& plan = setting_.members[static_cast<std::size_t>(member)];
  SocketTable& sockets = kernel_.find(setting_.pods[static_cast<std::size_t>(plan.pod)])->sockets;
  if (run.doing == Criu::Next::appear) sockets.insert(sockets.end(), plan.sockets.begin(), plan.sockets.end());
  if (run.doing == Criu::Next::vanish) {
    // One after the other, as tasks die.
    const auto one =
        std::ranges::find_if(sockets, [&](const Socket& s) { return std::ranges::count(plan.sockets, s) > 0; });
    if (one != sockets.end()) {
      sockets.erase(one);
      run.busy_until = now_ + work_time(milliseconds(10));
      return;
    }
  }
  criu_goes_on(member, run.criu.on_worked());
}

void World::criu_goes_on(int member, Criu::Next next) {
  CriuRun& run = *criu_[static_cast<std::size_t>(member)];
  if (next == Criu::Next::end) return end_criu(member, run.criu.ok());
  run.doing = next;
  run.busy_until = now_ + work_time(next == Criu::Next::hook ? microseconds(800) : milliseconds(8));
}

void World::end_criu(int member, bool ok) {
  const RoundId round = criu_[static_cast<std::size_t>(member)]->round;
  const MemberId& id = setting_.members[static_cast<std::size_t>(member)].id;
  note([&] { return "CRIU of " + id.value + " in " + round.value + (ok ? " succeeds" : " fails"); });
  for (const auto& [number, agent] : agents_) tell_criu_end(number, criu_[static_cast<std::size_t>(member)]->pid);
  criu_[static_cast<std::size_t>(member)].reset();
  if (ok) ++stories_.at(round).succeeded;
  client_.tell_result(round, id, ok, now_);
  if (!ok || !one_by_one(round)) return;
  // Its tasks run on, and may end their connections: that opens no pod before the decision.
  if (!rules_.is_decided(round) && dice_.one_in(2)) close_sockets(member);
  start_next_criu(round, member);
}

void World::tell_criu_end(PeerNumber number, int pid) {
  if (!agents_.at(number).criu_watches.contains(pid)) return;
  const Duration left = std::max<Duration>(agents_.at(number).stopped.until - now_, {});
  later(left + microseconds(20), [this, number, pid] {
    const auto agent = agents_.find(number);
    if (agent == agents_.end()) return;
    if (now_ < agent->second.stopped.until) return tell_criu_end(number, pid);  // stopped in between
    agent->second.criu_watches.erase(pid);
    agent->second.core->on_criu_gone(pid, static_cast<std::uint64_t>(pid) * 10, agent->second.out);
    perform_agent(number);
  });
}

// --- hooks ----------------------------------------------------------------------------------------------------------

Message World::event_of(int number, const CriuRun& run) const {
  const MemberSetting& member = setting_.members[static_cast<std::size_t>(number)];
  HookEvent event;
  event.action = run.criu.action();
  event.pod = setting_.pods[static_cast<std::size_t>(member.pod)];
  event.criu_pid = run.pid;
  event.criu_start = static_cast<std::uint64_t>(run.pid) * 10;
  event.root_pid = event.action == HookAction::pre_restore ? 0 : 100 + number;
  event.container = member.container;
  if (event.action == HookAction::network_lock || event.action == HookAction::post_restore) {
    for (const Socket& socket : member.sockets) event.socket_inodes.push_back(socket.inode);
  }
  if (event.action == HookAction::pre_restore) event.record.bytes = images_[static_cast<std::size_t>(number)].record;
  Message message{{}, {}, {}, 1, std::move(event)};
  if (setting_.names == HookNames::round_and_member) message.round = run.round;
  if (setting_.names == HookNames::container) return message;
  message.group = member.group;
  message.member = member.id;
  return message;
}

void World::start_hook(int member) {
  CriuRun& run = *criu_[static_cast<std::size_t>(member)];
  Message event = event_of(member, run);
  const HookNumber number = next_hook_++;
  run.hook = number;
  note([&] {
    return "hook " + std::to_string(number) + " starts: " + std::string(to_string(run.criu.action())) + " of " +
           setting_.members[static_cast<std::size_t>(member)].id.value + " in " + run.round.value;
  });
  const hook::Patience patience{milliseconds(5'000), setting_.in_doubt};
  Hook& hook = hooks_
                   .emplace(number, Hook{member,
                                         run.criu.action(),
                                         run.round,
                                         hook::Conversation(std::move(event), patience, now_),
                                         {},
                                         {},
                                         now_,
                                         {}})
                   .first->second;
  const auto agent = agent_for(member, false);
  if (!agent) return end_hook(number, HookEnd::abort, "no agent is there");
  hook.stream = network_.connect(number, *agent);
  agents_.at(*agent).streams.insert(*hook.stream);
  agents_.at(*agent).served = true;
  network_.say_to_agent(*hook.stream, hook.talk.event(), now_);
}

std::optional<PeerNumber> World::agent_for(int number, bool relay_only) {
  const MemberSetting& member = setting_.members[static_cast<std::size_t>(number)];
  const PodId& pod = setting_.pods[static_cast<std::size_t>(member.pod)];
  for (std::size_t place = 0; place < places_.size() && !relay_only && !member.by_relay; ++place) {
    const AgentSetting& plan = setting_.agents[place];
    const bool own = plan.pods.empty() ? plan.boot_id == pod.boot_id : plan.pods.front() == member.pod;
    if (own && places_[place]) return places_[place];
  }
  if (!setting_.relays) return std::nullopt;
  return start_agent(-1);  // a relay
}

void World::hook_hears(StreamNumber stream, Packet packet) {
  const HookNumber number = network_.stream(stream)->hook;
  Hook& hook = hooks_.at(number);
  note([&] { return "hook " + std::to_string(number) + " <- " + (packet.message ? text_of(*packet.message) : "end"); });
  if (!packet.message) {
    network_.close_by_hook(stream, now_);
    hook.stream.reset();
    return do_step(number, hook.talk.on_lost(Error{ErrorCode::unavailable, 0, "the agent has gone", {}}, now_));
  }
  rules_.reaches_hook(hook.member, hook.round, hook.action, *packet.message);
  hook.envelope =
      Message{packet.message->round, packet.message->group, packet.message->member, packet.message->sequence, Alive{}};
  do_step(number, hook.talk.on(std::move(*packet.message), now_));
}

void World::do_step(HookNumber number, hook::Step step) {
  Hook& hook = hooks_.at(number);
  Images& images = images_[static_cast<std::size_t>(hook.member)];
  switch (step.kind) {
    case hook::Step::Kind::wait: return;
    case hook::Step::Kind::store: return store(hook, std::move(step.record));
    case hook::Step::Kind::connect: return connect_again(number, hook);
    case hook::Step::Kind::abort: return end_hook(number, HookEnd::abort, step.reason);
    case hook::Step::Kind::go: break;
  }
  // As the session does: the old record goes before CRIU writes, the new one gets its name after the decision.
  if (hook.action == HookAction::pre_dump) images.record.clear();
  if (hook.action == HookAction::post_dump) {
    images.record = std::exchange(images.part, {});
    rules_.record_named(hook.member, hook.round, images);
  }
  end_hook(number, HookEnd::go, {});
}

void World::store(Hook& hook, std::string record) {
  const bool ok = disk_full_[static_cast<std::size_t>(hook.member)] == 0;
  if (ok) images_[static_cast<std::size_t>(hook.member)].part = std::move(record);
  hook.talk.stored(ok);
  Message answer = hook.envelope;
  answer.body = Stored{ok, ok ? "" : "no space left"};
  network_.say_to_agent(*hook.stream, std::move(answer), now_);
}

void World::connect_again(HookNumber number, Hook& hook) {
  // An agent that accepts connections and says nothing is a stopped one: where a relay can be had, it is asked.
  const bool silent = hook.stream.has_value();
  if (hook.stream) network_.close_by_hook(*hook.stream, now_);
  hook.stream.reset();
  const auto agent = agent_for(hook.member, silent && setting_.relays);
  note([&] { return "hook " + std::to_string(number) + (agent ? " connects again" : " finds no agent"); });
  if (!agent) return do_step(number, hook.talk.on_lost(Error{ErrorCode::unavailable, 0, "no agent", {}}, now_));
  hook.stream = network_.connect(number, *agent);
  agents_.at(*agent).streams.insert(*hook.stream);
  agents_.at(*agent).served = true;
  network_.say_to_agent(*hook.stream, hook.talk.event(), now_);
}

void World::end_hook(HookNumber number, HookEnd end, const std::string& why) {
  const Hook hook = std::move(hooks_.at(number));
  note([&] {
    const std::string how = end == HookEnd::go      ? " exits with 0"
                            : end == HookEnd::abort ? " exits with 1: " + why
                                                    : " is killed";
    return "hook " + std::to_string(number) + how;
  });
  hooks_.erase(number);
  if (hook.stream) network_.close_by_hook(*hook.stream, now_);
  rules_.hook_ended(hook.member, hook.round, hook.action, end, now_ - hook.started >= setting_.in_doubt);
  auto& run = criu_[static_cast<std::size_t>(hook.member)];
  if (!run || run->hook != number) return;  // CRIU was killed, and this is its orphan
  run->hook.reset();
  criu_goes_on(hook.member, run->criu.on_hook_exit(end == HookEnd::go));
}

}  // namespace lockstep::sim
