/// Simulated agents, one for each member of a round, in one loop of one thread: everything that a real agent says to
/// the broker, and nothing of what it does. And the client that opens rounds for them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "schemas/messages.hpp"
#include "tests/bench/broker_process.hpp"
#include "tests/bench/client.hpp"
#include "tests/bench/zmtp_connection.hpp"

namespace lockstep::bench {

/// How members come to a barrier.
enum class Arrival {
  last_one,     ///< all but one are ready, and the broker has taken notice; the last one comes
  all_at_once,  ///< every hook comes at the same moment
};

/// How long a barrier took, until the last agent had its Release on PUB.
struct BarrierTimes {
  Duration from_event{};  ///< since the last HookEvent was sent
  Duration from_ready{};  ///< since the last Ready was sent
};

class Agents {
 public:
  /// Connects `count` agents and a client, and waits until the broker has welcomed all and every subscription stands.
  Agents(const BrokerProcess& broker, std::size_t count);

  [[nodiscard]] std::size_t count() const { return agents_.size(); }
  /// Opens a dump with leave-running over all agents' pods, one member each.
  void open_round();
  /// Takes all members through the barrier that `action` belongs to. In the order of a dump's actions.
  [[nodiscard]] BarrierTimes pass(HookAction action, Arrival arrival);
  /// Every agent sends a heartbeat, and has the broker's echo: the broker has taken all that was said before.
  void heartbeat();

 private:
  struct Agent {
    ZmtpConnection dealer;
    ZmtpConnection subscriber;
    std::uint64_t sequence = 0;
    std::size_t releases = 0;
  };

  void say(std::size_t index, Body body);
  /// Serves all connections until the condition holds.
  void serve_until(const std::function<bool()>& done);
  void on_readable(std::uint64_t tag);
  void on_answer(std::size_t index, std::string_view bytes);
  void on_publication(Agent& agent, std::string_view bytes);
  void greet();
  void test_subscriptions();
  void arrive(std::size_t first, std::size_t last, HookAction action);

  std::vector<Agent> agents_;
  Client client_;
  Readable readable_;
  RoundId round_;
  std::size_t welcomes_ = 0;
  std::size_t echoes_ = 0;    ///< of heartbeats
  std::size_t orders_ = 0;    ///< of this barrier, each answered with Ready
  std::size_t released_ = 0;  ///< agents that have had the release of this barrier
  TimePoint last_ready_;
  Phase phase_ = Phase::prepare;
  std::string publication_;  ///< the newest one: everybody gets the same bytes, so decode them once
  bool publication_counts_ = false;
};

}  // namespace lockstep::bench
