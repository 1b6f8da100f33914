/// What carries messages: ZeroMQ between broker and peers, unix sockets between hooks and agents. Ends are numbered by
/// the world; nothing here looks into a message. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "schemas/messages.hpp"
#include "tests/sim/dice.hpp"

namespace lockstep::sim {

using PeerNumber = int;  ///< one life of an agent or a relay; kClient
using HookNumber = int;  ///< one hook process
using StreamNumber = std::uint64_t;
inline constexpr PeerNumber kClient = 0;

/// A message under way, or the end of its stream.
struct Packet {
  TimePoint due;
  std::optional<Message> message;
};

/// What arrives in the order in which it was sent.
class Channel {
 public:
  void push(TimePoint due, std::optional<Message> message);
  [[nodiscard]] bool empty() const { return packets_.empty(); }
  [[nodiscard]] const Packet& head() const { return packets_.front(); }
  [[nodiscard]] const std::deque<Packet>& packets() const { return packets_; }
  Packet take();
  void clear() { packets_.clear(); }
  /// Nothing of what is under way arrives before `when`.
  void hold(TimePoint when);
  /// All of it has arrived by then.
  void hurry(TimePoint when);

 private:
  std::deque<Packet> packets_;
};

/// What the network does to messages between broker and peers; in thousandths.
struct Weather {
  int lost = 0;
  int doubled = 0;
  int slow = 0;       ///< takes up to `slowest`
  int news_lost = 0;  ///< PUB, for each subscriber
  Duration slowest = milliseconds(300);
};

/// No packet passes in the named directions until it is healed.
struct Cut {
  bool up = false;
  bool down = false;
  bool hold = false;  ///< TCP keeps it for later, instead of a broken connection that loses it
  TimePoint until;
};

enum class Way : std::uint8_t { up, down, news, to_agent, to_hook };

/// The head of one channel.
struct Delivery {
  Way way = Way::up;
  std::uint64_t number = 0;  ///< of the peer or the stream
  TimePoint due;
};

class Network {
 public:
  explicit Network(std::uint64_t seed) : dice_(seed) {}
  Weather weather;
  bool instant = false;  ///< for the explorer: every message may arrive at once

  // ROUTER, DEALER and PUB.
  void attach(PeerNumber peer, TimePoint now);
  /// The peer's process has ended. `sent_arrives`: what it has sent is still under way; `noticed`: the ROUTER refuses
  /// to send to it.
  void detach(PeerNumber peer, bool sent_arrives, bool noticed);
  /// The broker's process has ended. What was on its way to it may reach the next one.
  void broker_down(bool sent_arrives);
  void broker_up(TimePoint now);
  void cut(PeerNumber peer, Cut cut);
  /// No cut and no weather any more; what was held back arrives.
  void heal(TimePoint now);
  void send_up(PeerNumber peer, const Message& message, TimePoint now);
  /// False where a ROUTER with ROUTER_MANDATORY says that it can't.
  [[nodiscard]] bool send_down(PeerNumber peer, const Message& message, TimePoint now);
  /// To every agent and relay.
  void publish(const Message& message, TimePoint now);

  // Unix sockets.
  struct Stream {
    PeerNumber agent = 0;
    HookNumber hook = 0;
    Channel to_agent;
    Channel to_hook;
    bool agent_open = true;
    bool hook_open = true;
  };
  StreamNumber connect(HookNumber hook, PeerNumber agent);
  void say_to_agent(StreamNumber stream, Message message, TimePoint now);
  void say_to_hook(StreamNumber stream, Message message, TimePoint now);
  void close_by_agent(StreamNumber stream, TimePoint now);
  void close_by_hook(StreamNumber stream, TimePoint now);
  [[nodiscard]] const Stream* stream(StreamNumber number) const;

  /// The heads of all channels, in an order that depends on the run alone.
  void heads(std::vector<Delivery>& into) const;
  Packet take(const Delivery& delivery);
  /// Every channel, for the explorer's picture of the state.
  template <class Visit>
  void each_channel(const Visit& visit) const {
    for (const auto& [peer, link] : links_) {
      visit(Way::up, peer, link.up);
      visit(Way::down, peer, link.down);
      visit(Way::news, peer, link.news);
    }
    for (const auto& [number, stream] : streams_) {
      visit(Way::to_agent, number, stream.to_agent);
      visit(Way::to_hook, number, stream.to_hook);
    }
  }

 private:
  struct Link {
    Channel up;
    Channel down;
    Channel news;
    bool alive = true;    ///< the peer's process lives
    bool known = true;    ///< the ROUTER believes so
    TimePoint connected;  ///< before that, nothing can be sent
    TimePoint subscribed;
    std::optional<Cut> cut;
  };

  [[nodiscard]] Duration travel();
  void pass(Channel& channel, const Message& message, bool is_cut, const Link& link, int lost, TimePoint now);
  void forget_ended(StreamNumber stream);

  Dice dice_;
  bool broker_is_up_ = false;
  std::map<PeerNumber, Link> links_;
  std::map<StreamNumber, Stream> streams_;
  StreamNumber next_stream_ = 1;
};

}  // namespace lockstep::sim
