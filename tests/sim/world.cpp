#include "tests/sim/world.hpp"

#include <algorithm>
#include <utility>

#include "schemas/codec.hpp"

namespace lockstep::sim {
namespace {

/// Keys of histories_: the kind of the part in front of its number.
constexpr std::uint64_t key_of(char kind, std::uint64_t number) {
  return (static_cast<std::uint64_t>(kind) << 48U) | number;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) { return Dice(hash ^ (value * 0x9e3779b97f4a7c15U)).roll(); }

std::uint64_t hash_of(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace

World::World(Setting setting, std::uint64_t seed, Trace& trace)
    : setting_(std::move(setting)),
      trace_(trace),
      dice_(seed),
      network_(dice_.roll()),
      kernel_(now_),
      rules_(setting_, kernel_),
      images_(setting_.members.size()),
      journal_([this](const RoundId& round, bool stands) {
        note([&] { return "journal: " + round.value + (stands ? " is decided" : " is decided no more"); });
        if (stands) return rules_.decided(round, images_);
        rules_.taken_back(round);
      }),
      places_(setting_.agents.size()),
      criu_(setting_.members.size()),
      disk_full_(setting_.members.size()) {
  network_.instant = setting_.instant;
  for (const PodId& pod : setting_.pods) kernel_.add_pod(pod);
  client_.on_command_done = [this](const RoundId& round, const MemberId& member) {
    rules_.command_done(round, member);
  };
  for (const GroupId& group : setting_.groups) set_tasks(group, true);
  start_broker();
  network_.attach(kClient, now_);
  for (std::size_t place = 0; place < places_.size(); ++place) start_agent(static_cast<int>(place));
}

void World::set_tasks(const GroupId& group, bool alive) {
  for (const int member : setting_.members_of(group)) {
    const MemberSetting& plan = setting_.members[static_cast<std::size_t>(member)];
    SocketTable& sockets = kernel_.find(setting_.pods[static_cast<std::size_t>(plan.pod)])->sockets;
    close_sockets(member);
    if (alive) sockets.insert(sockets.end(), plan.sockets.begin(), plan.sockets.end());
  }
}

RoundId World::open_round(const GroupId& group, Operation operation, bool leave_running) {
  RoundId round("r-" + std::to_string(next_round_++));
  OpenRound open{operation, leave_running, {}, setting_.deadlines, static_cast<std::uint32_t>(setting_.lease.count())};
  // A serial round that kills is refused at once; here it is what chance has drawn.
  if (operation == Operation::dump && leave_running) open.order = setting_.order;
  const std::vector<int> members = setting_.members_of(group);
  std::vector<Duration> takes;
  for (const int number : members) {
    const MemberSetting& member = setting_.members[static_cast<std::size_t>(number)];
    const PodId& pod = setting_.pods[static_cast<std::size_t>(member.pod)];
    open.members.push_back({member.id, pod, {}, member.container.substr(0, 12), {}, member.commands});
    takes.push_back(member.commands ? dice_.between(milliseconds(1), milliseconds(dice_.one_in(4) ? 2'000 : 100))
                                    : Duration{});
  }
  note([&] { return "client opens " + round.value + " of " + group.value + ": " + std::string(to_string(operation)); });
  rules_.opened(round, operation, members);
  stories_[round] = {operation, leave_running, members, 0};
  client_.open(round, group, std::move(open), std::move(takes), now_);
  return round;
}

void World::plan(std::vector<Fault> faults) {
  faults_ = std::move(faults);
  next_fault_ = 0;
}

// --- what happens next ----------------------------------------------------------------------------------------------

void World::consider(Next& best, Next other, const Stopped& stopped) {
  const bool waits = other.due < stopped.until;
  other.at = std::max(other.due, stopped.until);
  // A part that goes on sees either its deadlines or its messages first.
  const bool is_delivery = other.kind == Kind::delivery;
  if (waits && is_delivery == stopped.deadlines_first) other.at += Duration(1);
  if (std::tie(other.at, other.due) < std::tie(best.at, best.due)) best = other;
}

const World::Stopped* World::receiver_of(const Delivery& delivery) const {
  if (delivery.way == Way::up) return broker_.core ? &broker_.stopped : nullptr;
  if (delivery.way == Way::to_hook) {
    const Network::Stream* stream = network_.stream(delivery.number);
    const auto hook = hooks_.find(stream->hook);
    return hook == hooks_.end() ? nullptr : &hook->second.stopped;
  }
  static const Stopped kRuns;
  if (delivery.way != Way::to_agent && delivery.number == kClient) return &kRuns;
  const PeerNumber number = delivery.way == Way::to_agent ? network_.stream(delivery.number)->agent
                                                          : static_cast<PeerNumber>(delivery.number);
  const auto agent = agents_.find(number);
  return agent == agents_.end() ? nullptr : &agent->second.stopped;
}

World::Next World::next_turn() {
  Next best;
  static const Stopped kRuns;
  network_.heads(heads_);
  for (const Delivery& delivery : heads_) {
    const Stopped* receiver = receiver_of(delivery);
    if (receiver != nullptr) consider(best, {Kind::delivery, {}, delivery.due, 0, delivery}, *receiver);
  }
  if (broker_.core) consider(best, {Kind::broker, {}, broker_.core->next_deadline(), 0, {}}, broker_.stopped);
  for (const auto& [number, agent] : agents_) {
    const auto key = static_cast<std::uint64_t>(number);
    consider(best, {Kind::agent, {}, agent.core->next_deadline(), key, {}}, agent.stopped);
  }
  for (const auto& [number, hook] : hooks_) {
    consider(best, {Kind::hook, {}, hook.talk.deadline(), static_cast<std::uint64_t>(number), {}}, hook.stopped);
  }
  for (std::size_t member = 0; member < criu_.size(); ++member) {
    if (!criu_[member] || !criu_[member]->busy_until) continue;
    consider(best, {Kind::criu, {}, *criu_[member]->busy_until, member, {}}, kRuns);
  }
  if (!client_.idle()) consider(best, {Kind::client, {}, client_.next_deadline(), 0, {}}, kRuns);
  for (std::size_t i = 0; i < agenda_.size(); ++i) {
    consider(best, {Kind::agenda, {}, agenda_[i].first, i, {}}, kRuns);
  }
  return best;
}

bool World::step() {
  while (next_fault_ < faults_.size() && faults_[next_fault_].step <= steps_) strike(faults_[next_fault_++]);
  const Next next = next_turn();
  now_ = std::max(now_, next.at);
  take_turn(next);
  ++steps_;
  rules_.check_leases();
  check_hooks();
  return !rules_.broken();
}

void World::take_turn(const Next& next) {
  const auto time = [&](std::uint64_t key) {
    if (history_wanted_) remember(histories_[key], std::to_string(now_.time_since_epoch().count()));
  };
  switch (next.kind) {
    case Kind::none: return rules_.fail("progress", "nothing will ever happen again");
    case Kind::delivery: return deliver(next.delivery);
    case Kind::broker:
      time(key_of('b', 0));
      broker_.core->on_time(now_, broker_.out);
      return perform_broker();
    case Kind::agent: {
      time(key_of('a', next.number));
      const auto number = static_cast<PeerNumber>(next.number);
      Agent& agent = agents_.at(number);
      agent.core->on_time(now_, agent.out);
      return perform_agent(number);
    }
    case Kind::hook: {
      time(key_of('h', next.number));
      const auto number = static_cast<HookNumber>(next.number);
      return do_step(number, hooks_.at(number).talk.on_time(now_));
    }
    case Kind::criu: return criu_turn(static_cast<int>(next.number));
    case Kind::client: time(key_of('a', kClient)); return client_turn();
    case Kind::agenda: return run_agenda(next.number);
  }
}

void World::run_agenda(std::size_t index) {
  const auto act = std::move(agenda_[index].second);
  agenda_.erase(agenda_.begin() + static_cast<std::ptrdiff_t>(index));
  act();
}

void World::deliver(const Delivery& delivery) {
  Packet packet = network_.take(delivery);
  if (history_wanted_) {
    char kind = delivery.way == Way::up ? 'b' : 'a';
    std::uint64_t number = delivery.way == Way::up ? 0 : delivery.number;
    if (const auto* stream = delivery.way >= Way::to_agent ? network_.stream(delivery.number) : nullptr) {
      kind = delivery.way == Way::to_hook ? 'h' : 'a';
      number = static_cast<std::uint64_t>(delivery.way == Way::to_hook ? stream->hook : stream->agent);
    }
    remember(histories_[key_of(kind, number)], std::to_string(static_cast<int>(delivery.way)) +
                                                   std::to_string(now_.time_since_epoch().count()) +
                                                   (packet.message ? encode(*packet.message) : "end"));
  }
  if (delivery.way == Way::to_hook) return hook_hears(delivery.number, std::move(packet));
  if (delivery.way == Way::up) {
    const broker::PeerId from("p" + std::to_string(delivery.number));
    note([&] { return "broker <- " + from.value + ": " + text_of(*packet.message); });
    broker_.core->on_message(from, *packet.message, now_, broker_.out);
    return perform_broker();
  }
  if (delivery.way != Way::to_agent && delivery.number == kClient) {
    note([&] { return "client <- " + text_of(*packet.message); });
    client_.on_message(*packet.message);
    for (const RoundId& round : client_.take_opened()) start_criu_of(round);
    return;
  }
  const bool of_hook = delivery.way == Way::to_agent;
  const auto number = of_hook ? network_.stream(delivery.number)->agent : static_cast<PeerNumber>(delivery.number);
  Agent& agent = agents_.at(number);
  note([&] {
    const std::string from = of_hook                     ? " <- hook over stream " + std::to_string(delivery.number)
                             : delivery.way == Way::news ? " <- PUB"
                                                         : " <- broker";
    return "agent p" + std::to_string(number) + from + ": " + (packet.message ? text_of(*packet.message) : "end");
  });
  if (of_hook && !packet.message) {
    agent.streams.erase(delivery.number);
    agent.core->on_hook_closed(delivery.number, now_, agent.out);
    network_.close_by_agent(delivery.number, now_);
  } else if (of_hook) {
    agent.core->on_hook_message(delivery.number, *packet.message, now_, agent.out);
  } else {
    rules_.reaches_agent(*packet.message);
    if (delivery.way == Way::news)
      agent.core->on_publication(*packet.message, now_, agent.out);
    else
      agent.core->on_broker_message(*packet.message, now_, agent.out);
  }
  perform_agent(number);
}

void World::check_hooks() {
  for (const auto& [number, hook] : hooks_) {
    const TimePoint end = std::max(hook.started + setting_.in_doubt, hook.stopped.until);
    if (now_ > end + milliseconds(1))
      rules_.fail("an answer", "hook " + std::to_string(number) + " outlives its limit");
  }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const TimePoint end = now_ + limit;
  const int most_steps = steps_ + 1'000'000;
  while (!done()) {
    if (now_ >= end) return false;
    if (steps_ >= most_steps) rules_.fail("progress", "a million steps, and no end");
    if (rules_.broken() || !step()) return false;
  }
  return true;
}

bool World::run_for(Duration length) {
  const TimePoint end = now_ + length;
  agenda_.emplace_back(end, [] {});  // so that there is a step at the very end
  while (now_ < end) {
    if (!step()) return false;
  }
  return true;
}

// --- what there is --------------------------------------------------------------------------------------------------

bool World::quiet() const {
  return client_.idle() && std::ranges::none_of(criu_, [](const auto& run) { return run.has_value(); });
}

bool World::any_lock() const {
  return std::ranges::any_of(kernel_.pods(), [&](const Kernel::Pod& pod) { return kernel_.locked(pod); });
}

bool World::committed(const RoundId& round) const {
  const RoundStory& story = stories_.at(round);
  return rules_.is_decided(round) && story.succeeded == story.members.size();
}

bool World::restorable(const GroupId& group) const {
  std::set<RoundId> rounds;
  std::set<MemberId> conditional;
  std::set<MemberId> earlier;
  for (const int member : setting_.members_of(group)) {
    const auto record = decode_record(images_[static_cast<std::size_t>(member)].record);
    rounds.insert(record ? record->round : RoundId());
    if (!record) continue;
    if (record->conditional) conditional.insert(record->member);
    for (const EarlierMember& each : record->earlier) earlier.insert(each.member);
  }
  return rounds.size() == 1 && !rounds.begin()->empty() && std::ranges::includes(earlier, conditional);
}

bool World::any_record(const GroupId& group) const {
  return std::ranges::any_of(setting_.members_of(group),
                             [&](int member) { return !images_[static_cast<std::size_t>(member)].record.empty(); });
}

// --- for the explorer -----------------------------------------------------------------------------------------------

void World::remember(std::uint64_t& history, const std::string& input) const { history = mix(history, hash_of(input)); }

void World::remember_crash(Part part, int number, bool sent_arrives) {
  // In the history of the part itself: what it had seen by then is what is lost.
  std::uint64_t key = key_of('b', 0);
  if (part == Part::agent)
    key = key_of('a', static_cast<std::uint64_t>(places_[static_cast<std::size_t>(number)].value_or(0)));
  if (part == Part::hook) key = key_of('c', static_cast<std::uint64_t>(number));
  remember(histories_[key], std::string("crash") + (sent_arrives ? "+" : "-"));
}

void World::put_images(std::vector<Images> images) {
  images_ = std::move(images);
  for (const GroupId& group : setting_.groups) set_tasks(group, false);
  ++next_round_;  // that one's name is taken
}

std::vector<Delivery> World::deliverable() const {
  std::vector<Delivery> heads;
  network_.heads(heads);
  std::erase_if(heads, [&](const Delivery& head) { return head.due > now_ || receiver_of(head) == nullptr; });
  return heads;
}

void World::start_due_hooks() {
  for (std::size_t member = 0; member < criu_.size(); ++member) {
    const bool due = criu_[member] && criu_[member]->busy_until && *criu_[member]->busy_until <= now_;
    if (due) criu_turn(static_cast<int>(member));
  }
}

int World::hooks_in(HookAction action) const {
  return static_cast<int>(
      std::ranges::count_if(hooks_, [&](const auto& entry) { return entry.second.action == action; }));
}

std::uint64_t World::fingerprint() const {
  std::uint64_t print = mix(0, static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  for (const auto& [key, history] : histories_) print = mix(print, mix(key, history));
  for (const auto& [number, agent] : agents_) print = mix(print, static_cast<std::uint64_t>(number));
  for (const auto& [number, hook] : hooks_) {
    print = mix(print, mix(static_cast<std::uint64_t>(number), static_cast<std::uint64_t>(hook.member)));
    print = mix(print, mix(static_cast<std::uint64_t>(hook.action), hook.stream.value_or(0)));
  }
  print = mix(print, static_cast<std::uint64_t>(broker_.core ? broker_.life : 0));
  network_.each_channel([&](Way way, std::uint64_t number, const Channel& channel) {
    print = mix(print, mix(static_cast<std::uint64_t>(way), number));
    // What these say follows from what their sender has seen.
    for (const Packet& packet : channel.packets()) {
      print = mix(print, static_cast<std::uint64_t>(packet.due.time_since_epoch().count()));
    }
  });
  return print;
}

}  // namespace lockstep::sim
