/// A world in which whole rounds happen within a millisecond: the REAL cores of broker, agents and hooks, on a network,
/// a kernel, disks, CRIUs and a clock that are models.
///
///   real    BrokerCore, AgentCore (sidecars, node agents, relays), Conversation (hooks)
///   model   Network     ROUTER/DEALER, PUB/SUB and unix sockets: ordered for each peer, lost when a connection breaks;
///                       with faults also lost, doubled and delayed one by one, which ZeroMQ itself would not do
///           Kernel      locks that end with their lease, sockets
///           Criu        which hooks a dump and a restore run in which order, and what a failing one does
///           Images      a member's folder: the record under its temporary and its final name
///           DurableJournal   what the broker's disk keeps; it may fail, and has then changed nothing
///           Client      opens rounds, tells how CRIU ended
///
/// A step is one thing that happens to one part: a message arrives, a deadline has come, CRIU goes on, a fault strikes.
/// The next step is always the earliest. Parts take no time to think. One seed gives the whole run: chance comes from
/// Dice, nothing depends on addresses, hash orders or the clock of the machine.
///
/// Crashes: a part's memory is gone; of what it had under way some still arrives. A crash may also come between two
/// actions of one turn. Pauses: a part sees what has happened meanwhile when it goes on, its deadlines before the
/// messages or after them.
///
/// Limits. The shells are not simulated: framing, encoding, high-water marks, the hook's environment. Clocks agree in
/// their speed. A disk keeps what it said to have kept. Two agents never claim
/// one pod, except as successive lives. A hook's answer and the record's rename are one step. Peers don't lie. Nobody
/// is held up for longer than a lease less `silence` without its being noticed: a message that is hours old counts as a
/// sign of life.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/core/agent_core.hpp"
#include "agent/hook/conversation.hpp"
#include "broker/core/broker_core.hpp"
#include "tests/sim/client.hpp"
#include "tests/sim/criu.hpp"
#include "tests/sim/durable_journal.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/invariants.hpp"
#include "tests/sim/kernel.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/trace.hpp"

namespace lockstep::sim {

inline constexpr TimePoint kBegin{std::chrono::hours(1)};

class World {
 public:
  World(Setting setting, std::uint64_t seed, Trace& trace);

  // What the story wants.
  /// The client opens a round, and starts CRIU for each member when the broker says that it is open.
  RoundId open_round(const GroupId& group, Operation operation, bool leave_running);
  /// As after a restart of the application: its tasks run (or don't), all sockets are there (or none).
  void set_tasks(const GroupId& group, bool alive);
  /// Strikes before the step that it names; in the order of steps.
  void plan(std::vector<Fault> faults);
  /// No fault is in force any more, and none is planned.
  void heal();

  /// Does the next thing that happens; false when a rule has been broken.
  bool step();
  /// Until `done`, or for as long as `limit`. False: a rule is broken, or the limit was reached.
  bool run_until(const std::function<bool()>& done, Duration limit);
  bool run_for(Duration length);

  [[nodiscard]] bool quiet() const;  ///< no CRIU runs, the client waits for nothing
  [[nodiscard]] bool any_lock() const;
  [[nodiscard]] bool committed(const RoundId& round) const;  ///< decided, and every member's CRIU has succeeded
  /// Every member has a record that counts, all of one round.
  [[nodiscard]] bool restorable(const GroupId& group) const;
  [[nodiscard]] bool any_record(const GroupId& group) const;
  [[nodiscard]] const Invariants& rules() const { return rules_; }
  [[nodiscard]] Invariants& rules() { return rules_; }
  [[nodiscard]] int steps() const { return steps_; }
  [[nodiscard]] TimePoint now() const { return now_; }

  // For the explorer, which chooses what happens next.
  enum class Part : std::uint8_t { broker, agent, hook };
  /// What a round of an earlier world has saved; its tasks are gone, as after dump and kill.
  void put_images(std::vector<Images> images);
  [[nodiscard]] const std::vector<Images>& images() const { return images_; }
  [[nodiscard]] std::vector<Delivery> deliverable() const;
  void deliver(const Delivery& delivery);
  /// Every CRIU that is to run its next hook at this moment does so.
  void start_due_hooks();
  /// There is such a part, and a crash would change something; `with_sent`: something that it has sent is under way.
  [[nodiscard]] bool can_crash(Part part, int number, bool with_sent) const;
  /// `sent_arrives`: what it has sent is still under way; else it is lost.
  void crash(Part part, int number, bool sent_arrives);
  [[nodiscard]] int hooks_in(HookAction action) const;
  /// Equal for two worlds in which every part has seen the same, and the same is under way.
  [[nodiscard]] std::uint64_t fingerprint() const;
  void keep_history() { history_wanted_ = true; }

 private:
  struct Stopped {
    TimePoint until;
    bool deadlines_first = false;
  };
  struct Broker {
    std::unique_ptr<broker::BrokerCore> core;  ///< none: it is down
    broker::Outbox out;
    int life = 0;
    std::uint64_t published = 0;
    Stopped stopped;
    std::optional<Fault> doom;  ///< strikes when `detail` more actions are performed
  };
  struct Agent {
    int place = -1;  ///< in the setting; -1: a relay
    std::unique_ptr<AgentPods> pods;
    std::unique_ptr<agent::AgentCore> core;
    agent::Outbox out;
    std::set<StreamNumber> streams;
    std::set<int> criu_watches;  ///< pids
    bool served = false;         ///< a hook has connected to it
    Stopped stopped;
    std::optional<Fault> doom;
  };
  struct Hook {
    int member = 0;
    HookAction action = HookAction::pre_dump;
    RoundId round;
    hook::Conversation talk;
    std::optional<StreamNumber> stream;
    Message envelope;
    TimePoint started;
    Stopped stopped;
  };
  struct CriuRun {
    Criu criu;
    RoundId round;
    int pid = 0;
    Criu::Next doing = Criu::Next::hook;
    std::optional<TimePoint> busy_until;
    std::optional<HookNumber> hook;
  };
  struct RoundStory {
    Operation operation = Operation::dump;
    bool leave_running = false;
    std::vector<int> members;
    std::size_t succeeded = 0;
  };
  enum class Kind : std::uint8_t { none, delivery, broker, agent, hook, criu, client, agenda };
  struct Next {
    Kind kind = Kind::none;
    TimePoint at = TimePoint::max();
    TimePoint due = TimePoint::max();
    std::uint64_t number = 0;
    Delivery delivery;
  };

  // world.cpp: what happens next.
  [[nodiscard]] Next next_turn();
  static void consider(Next& best, Next other, const Stopped& stopped);
  void take_turn(const Next& next);
  void run_agenda(std::size_t index);
  [[nodiscard]] const Stopped* receiver_of(const Delivery& delivery) const;
  void check_hooks();

  // world_parts.cpp: what parts want done is done.
  void perform_broker();
  bool perform(const broker::Action& action);
  void perform_agent(PeerNumber number);
  void perform(PeerNumber number, Agent& agent, const agent::Action& action);
  void client_turn();
  PeerNumber start_agent(int place);
  /// As the agent's shell does when it starts: what a former life has left locked stays so.
  void take_over_locks(Agent& agent);
  void stop_agent(PeerNumber number, bool graceful, bool sent_arrives, bool noticed);
  void start_broker();

  // world_hooks.cpp: CRIU and its hooks.
  void start_criu(const RoundId& round, int member);
  /// As the round's runtime does: all at once, or of each pod the first one.
  void start_criu_of(const RoundId& round);
  /// A runtime that goes one by one has dumped `member`: the next one of its pod.
  void start_next_criu(const RoundId& round, int member);
  void close_sockets(int member);
  [[nodiscard]] bool one_by_one(const RoundId& round) const;
  void criu_turn(int member);
  void criu_goes_on(int member, Criu::Next next);
  void end_criu(int member, bool ok);
  void tell_criu_end(PeerNumber agent, int pid);
  void start_hook(int member);
  [[nodiscard]] Message event_of(int member, const CriuRun& run) const;
  /// An agent that listens where the hook looks for one.
  [[nodiscard]] std::optional<PeerNumber> agent_for(int member, bool relay_only);
  void hook_hears(StreamNumber stream, Packet packet);
  void do_step(HookNumber number, hook::Step step);
  void connect_again(HookNumber number, Hook& hook);
  void end_hook(HookNumber number, HookEnd end, const std::string& why);
  void store(Hook& hook, std::string record);
  [[nodiscard]] Duration work_time(Duration most);
  void kill_criu(int member);

  // world_faults.cpp
  void strike(const Fault& fault);
  void crash_broker(Duration down);
  void crash_agent(int place, Duration down, bool graceful);
  void later(Duration delay, std::function<void()> act) { agenda_.push_back({now_ + delay, std::move(act)}); }
  Stopped pause(Duration length) { return {now_ + length, dice_.one_in(2)}; }

  void remember(std::uint64_t& history, const std::string& input) const;
  void remember_crash(Part part, int number, bool sent_arrives);
  template <class Text>
  void note(const Text& text) {
    trace_.line(now_, text);
  }

  Setting setting_;
  Trace& trace_;
  Dice dice_;
  TimePoint now_ = kBegin;
  int steps_ = 0;

  Network network_;
  Kernel kernel_;
  Invariants rules_;
  std::vector<Images> images_;  ///< of each member
  DurableJournal journal_;

  Broker broker_;
  std::map<PeerNumber, Agent> agents_;             ///< that live
  std::vector<std::optional<PeerNumber>> places_;  ///< whose life stands there
  PeerNumber next_peer_ = 1;
  Client client_;
  std::map<HookNumber, Hook> hooks_;
  HookNumber next_hook_ = 1;
  std::vector<std::optional<CriuRun>> criu_;  ///< of each member
  std::vector<char> disk_full_;
  int next_pid_ = 1000;

  std::map<RoundId, RoundStory> stories_;
  int next_round_ = 1;
  std::vector<std::pair<TimePoint, std::function<void()>>> agenda_;
  std::vector<Fault> faults_;  ///< planned ones
  std::size_t next_fault_ = 0;
  std::vector<Delivery> heads_;  ///< kept, so that a step allocates nothing

  bool history_wanted_ = false;
  std::map<std::uint64_t, std::uint64_t> histories_;  ///< by part: what it has seen
};

}  // namespace lockstep::sim
