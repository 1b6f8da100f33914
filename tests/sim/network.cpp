#include "tests/sim/network.hpp"

#include <algorithm>
#include <utility>

namespace lockstep::sim {
namespace {

constexpr Duration kStreamDelay = microseconds(30);
constexpr Duration kLongestReconnect = milliseconds(150);
constexpr TimePoint kNever = TimePoint::max();

}  // namespace

void Channel::push(TimePoint due, std::optional<Message> message) {
  if (!packets_.empty()) due = std::max(due, packets_.back().due);
  packets_.push_back({due, std::move(message)});
}

Packet Channel::take() {
  Packet packet = std::move(packets_.front());
  packets_.pop_front();
  return packet;
}

void Channel::hold(TimePoint when) {
  for (Packet& packet : packets_) packet.due = std::max(packet.due, when);
}

void Channel::hurry(TimePoint when) {
  for (Packet& packet : packets_) packet.due = std::min(packet.due, when);
}

// --- broker and peers -----------------------------------------------------------------------------------------------

Duration Network::travel() {
  if (instant) return {};
  if (dice_.permille(weather.slow)) return dice_.between(milliseconds(1), weather.slowest);
  return dice_.between(microseconds(50), microseconds(500));
}

void Network::attach(PeerNumber peer, TimePoint now) {
  Link link;
  link.connected = instant ? now : now + dice_.between(microseconds(200), milliseconds(5));
  link.subscribed = instant ? now : now + dice_.between(microseconds(200), milliseconds(20));
  if (!broker_is_up_) link.connected = link.subscribed = kNever;
  links_.emplace(peer, std::move(link));
}

void Network::detach(PeerNumber peer, bool sent_arrives, bool noticed) {
  const auto at = links_.find(peer);
  if (at == links_.end()) return;
  Link& link = at->second;
  if (!sent_arrives) link.up.clear();
  link.down.clear();
  link.news.clear();
  link.alive = false;
  link.known = !noticed;
  if (link.up.empty() && noticed) links_.erase(at);
}

void Network::broker_down(bool sent_arrives) {
  broker_is_up_ = false;
  for (auto at = links_.begin(); at != links_.end();) {
    Link& link = at->second;
    if (!instant && !dice_.one_in(4)) link.up.clear();
    if (!sent_arrives) link.down.clear();
    if (!sent_arrives) link.news.clear();
    link.connected = link.subscribed = kNever;
    const bool ended = !link.alive && link.up.empty();
    at = ended ? links_.erase(at) : std::next(at);
  }
}

void Network::heal(TimePoint now) {
  weather = {};
  for (auto& [peer, link] : links_) {
    link.cut.reset();
    for (Channel* channel : {&link.up, &link.down, &link.news}) channel->hurry(now + milliseconds(1));
  }
}

void Network::broker_up(TimePoint now) {
  broker_is_up_ = true;
  for (auto& [peer, link] : links_) {
    link.connected = instant ? now : now + dice_.between(microseconds(200), kLongestReconnect);
    link.subscribed = instant ? now : now + dice_.between(microseconds(200), kLongestReconnect);
  }
}

void Network::cut(PeerNumber peer, Cut cut) {
  const auto at = links_.find(peer);
  if (at == links_.end()) return;
  Link& link = at->second;
  const auto stop = [&](Channel& channel) { cut.hold ? channel.hold(cut.until) : channel.clear(); };
  if (cut.up) stop(link.up);
  if (cut.down) stop(link.down);
  if (cut.down) stop(link.news);
  link.cut = cut;
}

void Network::pass(Channel& channel, const Message& message, bool is_cut, const Link& link, int lost, TimePoint now) {
  const bool blocked = is_cut && now < link.cut->until;
  if ((blocked && !link.cut->hold) || dice_.permille(lost)) return;
  const TimePoint earliest = blocked ? link.cut->until : now;
  channel.push(earliest + travel(), message);
  if (dice_.permille(weather.doubled)) channel.push(earliest + travel(), message);
}

void Network::send_up(PeerNumber peer, const Message& message, TimePoint now) {
  Link& link = links_.at(peer);
  if (now < link.connected) return;  // ZMQ_IMMEDIATE: without a connection nothing is kept
  pass(link.up, message, link.cut && link.cut->up, link, weather.lost, now);
}

bool Network::send_down(PeerNumber peer, const Message& message, TimePoint now) {
  const auto at = links_.find(peer);
  if (at == links_.end() || !at->second.known || now < at->second.connected) return false;
  Link& link = at->second;
  if (link.alive) pass(link.down, message, link.cut && link.cut->down, link, weather.lost, now);
  return true;
}

void Network::publish(const Message& message, TimePoint now) {
  for (auto& [peer, link] : links_) {
    if (peer == kClient || !link.alive || now < link.subscribed) continue;
    pass(link.news, message, link.cut && link.cut->down, link, weather.news_lost, now);
  }
}

// --- hooks and agents -----------------------------------------------------------------------------------------------

StreamNumber Network::connect(HookNumber hook, PeerNumber agent) {
  streams_.emplace(next_stream_, Stream{agent, hook, {}, {}});
  return next_stream_++;
}

void Network::say_to_agent(StreamNumber number, Message message, TimePoint now) {
  const auto at = streams_.find(number);
  if (at == streams_.end() || !at->second.agent_open) return;
  at->second.to_agent.push(now + (instant ? Duration() : kStreamDelay), std::move(message));
}

void Network::say_to_hook(StreamNumber number, Message message, TimePoint now) {
  const auto at = streams_.find(number);
  if (at == streams_.end() || !at->second.hook_open) return;
  at->second.to_hook.push(now + (instant ? Duration() : kStreamDelay), std::move(message));
}

void Network::close_by_agent(StreamNumber number, TimePoint now) {
  const auto at = streams_.find(number);
  if (at == streams_.end()) return;
  at->second.agent_open = false;
  at->second.to_agent.clear();
  if (at->second.hook_open) at->second.to_hook.push(now, std::nullopt);
  forget_ended(number);
}

void Network::close_by_hook(StreamNumber number, TimePoint now) {
  const auto at = streams_.find(number);
  if (at == streams_.end()) return;
  at->second.hook_open = false;
  at->second.to_hook.clear();
  if (at->second.agent_open) at->second.to_agent.push(now, std::nullopt);
  forget_ended(number);
}

void Network::forget_ended(StreamNumber number) {
  const auto at = streams_.find(number);
  if (at != streams_.end() && !at->second.agent_open && !at->second.hook_open) streams_.erase(at);
}

const Network::Stream* Network::stream(StreamNumber number) const {
  const auto at = streams_.find(number);
  return at == streams_.end() ? nullptr : &at->second;
}

// --- deliveries -----------------------------------------------------------------------------------------------------

void Network::heads(std::vector<Delivery>& into) const {
  into.clear();
  each_channel([&](Way way, std::uint64_t number, const Channel& channel) {
    if (!channel.empty()) into.push_back({way, number, channel.head().due});
  });
}

Packet Network::take(const Delivery& delivery) {
  if (delivery.way == Way::to_agent) return streams_.at(delivery.number).to_agent.take();
  if (delivery.way == Way::to_hook) return streams_.at(delivery.number).to_hook.take();
  Link& link = links_.at(static_cast<PeerNumber>(delivery.number));
  if (delivery.way == Way::down) return link.down.take();
  if (delivery.way == Way::news) return link.news.take();
  Packet packet = link.up.take();
  if (!link.alive && !link.known && link.up.empty()) links_.erase(static_cast<PeerNumber>(delivery.number));
  return packet;
}

}  // namespace lockstep::sim
