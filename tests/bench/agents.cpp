#include "tests/bench/agents.hpp"

#include <stdexcept>
#include <utility>

#include "schemas/codec.hpp"

namespace lockstep::bench {
namespace {

constexpr milliseconds kPatience{10'000};
constexpr std::uint64_t kFirstInode = 4'026'600'000;
/// As many as a small server has.
constexpr std::uint64_t kSocketsPerMember = 4;
const std::string kBootId = "00000000-0000-4000-8000-000000000000";

// What an epoll tag means: an agent's index, and which of its connections.
constexpr std::uint64_t dealer_tag(std::size_t index) { return 2 * index; }
constexpr std::uint64_t subscriber_tag(std::size_t index) { return 2 * index + 1; }

MemberId member_id(std::size_t index) { return MemberId("member-" + std::to_string(index)); }
PodId pod_id(std::size_t index) { return {kBootId, kFirstInode + index}; }

HookEvent event_of(std::size_t index, HookAction action) {
  HookEvent event;
  event.action = action;
  event.pod = pod_id(index);
  event.criu_pid = static_cast<std::int32_t>(10'000 + index);
  event.criu_start = 123'456 + index;
  event.root_pid = static_cast<std::int32_t>(20'000 + index);
  if (action == HookAction::network_lock) {
    for (std::uint64_t i = 0; i < kSocketsPerMember; ++i) event.socket_inodes.push_back(1'000'000 + index * 16 + i);
  }
  return event;
}

Ready ready_for(const Order& order) {
  Ready ready;
  ready.phase = order.phase;
  ready.ok = true;
  if (order.phase != Phase::lock) return ready;
  ready.addresses.resize(2);
  for (const std::uint64_t inode : order.socket_inodes) ready.sockets.emplace_back().inode = inode;
  return ready;
}

Message decoded(std::string_view bytes) {
  auto message = decode(bytes);
  if (!message) throw std::runtime_error("from the broker: " + message.error().message());
  return std::move(*message);
}

}  // namespace

Agents::Agents(const BrokerProcess& broker, std::size_t count) : client_(broker.router_port(), broker.operator_key()) {
  agents_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    agents_.push_back({ZmtpConnection(broker.router_port(), "DEALER", broker.agent_key()),
                       ZmtpConnection(broker.publisher_port(), "SUB", broker.agent_key())});
    agents_[i].subscriber.subscribe(kReleaseTopic);
    readable_.add(agents_[i].dealer.fd(), dealer_tag(i));
    readable_.add(agents_[i].subscriber.fd(), subscriber_tag(i));
  }
  greet();
  test_subscriptions();
}

void Agents::greet() {
  for (std::size_t i = 0; i < count(); ++i) {
    Hello hello;
    hello.role = Role::agent;
    hello.name = "agent-" + std::to_string(i);
    hello.boot_id = kBootId;
    hello.pods.push_back(pod_id(i).netns_inode);
    say(i, hello);
  }
  serve_until([&] { return welcomes_ == count(); });
}

void Agents::test_subscriptions() {
  // PUB does not tell when a subscription stands. Aborted rounds are published: one that everybody hears of is the
  // proof.
  do {
    open_round();
    released_ = 0;
    for (Agent& agent : agents_) agent.releases = 0;
    client_.ask(round_, AbortRound{"test of the subscriptions"});
    // The broker publishes before it answers, but on other connections: an echo later it has arrived as well.
    heartbeat();
  } while (released_ < count());
}

void Agents::open_round() {
  std::vector<RoundMember> members;
  for (std::size_t i = 0; i < count(); ++i) members.push_back({member_id(i), pod_id(i), {}, {}});
  round_ = client_.open_round(std::move(members));
}

BarrierTimes Agents::pass(HookAction action, Arrival arrival) {
  phase_ = phase_of(action);
  orders_ = released_ = 0;
  for (Agent& agent : agents_) agent.releases = 0;
  const std::size_t last = count() - 1;
  arrive(0, last, action);
  if (arrival == Arrival::last_one) {
    serve_until([&] { return orders_ == last; });
    heartbeat();
  }
  const TimePoint begin = Clock::now();
  arrive(last, count(), action);
  serve_until([&] { return released_ == count(); });
  const TimePoint end = Clock::now();
  return {end - begin, end - last_ready_};
}

void Agents::heartbeat() {
  echoes_ = 0;
  for (std::size_t i = 0; i < count(); ++i) say(i, Heartbeat{});
  serve_until([&] { return echoes_ == count(); });
}

void Agents::arrive(std::size_t first, std::size_t last, HookAction action) {
  for (std::size_t i = first; i < last; ++i) say(i, event_of(i, action));
}

void Agents::say(std::size_t index, Body body) {
  Agent& agent = agents_[index];
  agent.dealer.send(encode({round_, kBenchGroup, member_id(index), ++agent.sequence, std::move(body)}));
}

void Agents::serve_until(const std::function<bool()>& done) {
  while (!done()) readable_.wait(kPatience, [&](std::uint64_t tag) { on_readable(tag); });
}

void Agents::on_readable(std::uint64_t tag) {
  const std::size_t index = tag / 2;
  Agent& agent = agents_[index];
  if (tag == dealer_tag(index)) return agent.dealer.receive([&](std::string_view bytes) { on_answer(index, bytes); });
  agent.subscriber.receive([&](std::string_view bytes) { on_publication(agent, bytes); });
}

void Agents::on_answer(std::size_t index, std::string_view bytes) {
  const Message message = decoded(bytes);
  if (std::holds_alternative<Welcome>(message.body)) ++welcomes_;
  if (std::holds_alternative<Heartbeat>(message.body)) ++echoes_;
  if (const auto* refused = std::get_if<Refused>(&message.body))
    throw std::runtime_error("refused: " + refused->reason);
  const auto* order = std::get_if<Order>(&message.body);
  if (order == nullptr || order->phase != phase_) return;
  ++orders_;
  const std::string ready = encode({round_, kBenchGroup, message.member, ++agents_[index].sequence, ready_for(*order)});
  last_ready_ = Clock::now();
  agents_[index].dealer.send(ready);
}

void Agents::on_publication(Agent& agent, std::string_view bytes) {
  if (bytes != publication_) {
    const Message message = decoded(bytes);
    const auto* release = std::get_if<Release>(&message.body);
    publication_ = bytes;
    publication_counts_ = release != nullptr && message.round == round_ && release->phase == phase_;
  }
  if (publication_counts_ && ++agent.releases == 1) ++released_;
}

}  // namespace lockstep::bench
