/// The agent without its sockets: relays hooks to the broker, obeys the broker's orders, owns locks, and decides what
/// happens when either side falls silent. Pure but for PodNetwork; one thread.
///
///   hook -> on_hook_message() ─HookEvent─► broker ─Order─► on_broker_message() -> LockBook, PodNetwork ─Ready─► broker
///   broker ─Release─► on_publication() / on_broker_message() -> Answer -> hook
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/core/lock_book.hpp"
#include "agent/core/outbox.hpp"
#include "agent/core/pod_network.hpp"
#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::agent {

struct CoreSettings {
  Hello hello;          ///< role, name, boot id, pods: who this agent is
  std::string broker;   ///< its address, for people; may be empty
  GroupId claim_group;  ///< what a sidecar's configuration says of its pod's hooks that don't know themselves
  MemberId claim_member;
  milliseconds silence{3000};  ///< until the broker's Welcome says otherwise
  milliseconds heartbeat{500};
  milliseconds first_hello_retry{10};  ///< doubled up to the heartbeat: a broker that is there answers at once
  milliseconds in_doubt{3'600'000};    ///< how long a member whose vote is out waits for a silent broker
  milliseconds found_lease{15'000};    ///< of a lock that a former life has left; renewed
  milliseconds alive_interval{1000};   ///< to waiting hooks
  milliseconds first_retry{200};
  milliseconds last_retry{1000};
  milliseconds store_limit{30'000};  ///< for a hook to write its record
  milliseconds first_drain_check{2};
  milliseconds last_drain_check{50};
};

class AgentCore {
 public:
  /// `network` must outlive the core.
  AgentCore(CoreSettings settings, PodNetwork& network, TimePoint now);

  /// Before start(): this pod stands locked for a round of a former life of this agent, and its lock has been taken
  /// over with `found_lease`. It is kept until the broker says what became of that round, at most for `in_doubt`.
  void take_over(const PodId& pod, const RoundId& round, TimePoint now, Outbox& out);
  /// Says Hello; to be called once, and again by the core itself until it is answered.
  void start(TimePoint now, Outbox& out);
  void on_hook_message(HookId hook, const Message& message, TimePoint now, Outbox& out);
  /// The hook's connection has ended from its side, or broke.
  void on_hook_closed(HookId hook, TimePoint now, Outbox& out);
  /// A process that was to be watched has ended.
  void on_criu_gone(std::int32_t pid, std::uint64_t start, Outbox& out);
  void on_broker_message(const Message& message, TimePoint now, Outbox& out);
  /// A message of the broker's PUB socket, topic release.
  void on_publication(const Message& message, TimePoint now, Outbox& out);
  void on_time(TimePoint now, Outbox& out);
  [[nodiscard]] TimePoint next_deadline() const;
  /// The last call before the process ends. Answers the hooks with abort, unless their vote is out, and gives back the
  /// locks of what is committed. Pods of rounds that may still be decided, or of dumped members whose sockets may still
  /// be there, stay locked for the rest of their lease.
  void shut_down(const std::string& why, Outbox& out);

  [[nodiscard]] bool joined() const { return joined_; }

 private:
  enum class HookStep : std::uint8_t { waiting, storing, stored };

  /// A hook that waits for its answer.
  struct Hook {
    Message event;  ///< as it goes to the broker, with its number
    HookAction action = HookAction::pre_dump;
    HookStep step = HookStep::waiting;
    TimePoint arrived;
    TimePoint next_alive;
    TimePoint next_retry;
    milliseconds retry{0};
    TimePoint store_deadline;
  };

  /// What this agent knows of a round that it has had to do with.
  struct RoundView {
    std::set<MemberId> votes;  ///< that went out from here: only the broker knows how it ended
    /// Of these, who was let go early: the round can't have been decided without others of their pods, whose locks this
    /// agent would have to give. Their votes keep nobody from undoing it.
    std::set<MemberId> early;
    bool committed = false;
    std::optional<TimePoint> found_until;  ///< a former life's: only the broker knows; when it is given up
    std::string broken;                    ///< why this agent can never vote for it again; empty: it can
    MemberId broken_member;
    [[nodiscard]] bool in_doubt() const { return votes.size() > early.size(); }
  };

  /// A killed member whose sockets are waited for.
  struct Drain {
    std::vector<std::uint64_t> inodes;
    TimePoint next_check;
    milliseconds interval{0};
  };

  void on_welcome(const Welcome& welcome, TimePoint now, Outbox& out);
  void on_order(const Message& message, const Order& order, TimePoint now, Outbox& out);
  void on_release(const Message& message, const Release& release, TimePoint now, Outbox& out);
  void on_hook_event(HookId id, const Message& message, const HookEvent& event, TimePoint now, Outbox& out);
  /// Hooks come here also for a pod that has no agent, or before anybody can tell which pod it will be.
  [[nodiscard]] bool is_own(const PodId& pod) const;
  /// Adds the names of the claim to an event that has none of its own.
  void claim(Message& event) const;
  void on_stored(Hook& hook, const Stored& stored, TimePoint now, Outbox& out);
  /// A later hook waits here for the same member at the same barrier.
  [[nodiscard]] bool is_replaced(const Hook& hook) const;

  [[nodiscard]] Ready prepare(const Order& order);
  /// Commit of a restore: the connections that are not to come back are closed, what the member holds is told.
  [[nodiscard]] Ready close_and_read(const Holder& holder, const Order& order);
  [[nodiscard]] Ready lock(const Holder& holder, const Order& order, TimePoint now);
  /// Adds what translates the connections of `ready`.
  void read_nat(const PodId& pod, Ready& ready);
  [[nodiscard]] Ready let_go(const Holder& holder, Phase phase, const PodId& pod = {});
  void store(const Message& message, const Order& order, TimePoint now, Outbox& out);

  void round_over(const RoundId& round, const Release& release, Outbox& out);
  void start_drains(const RoundId& round, TimePoint now);
  void check_drains(TimePoint now, Outbox& out);
  void check_hooks(TimePoint now, Outbox& out);
  void check_broker(TimePoint now, Outbox& out);
  void check_locks(TimePoint now, Outbox& out);
  void check_found(TimePoint now, Outbox& out);
  /// The broker is silent: everything that has not voted is undone now, what has voted when `doubt_is_over`.
  void give_up(const std::string& why, bool doubt_is_over, Outbox& out);
  /// A lock has run out, or the broker was given up: whatever it asks for in this round, the answer is no from now on,
  /// until it says that the round is over. It may not have noticed, and a pod has been open.
  void break_round(const Holder& holder, const std::string& why);
  void answer(std::map<HookId, Hook>::iterator hook, Verdict verdict, const std::string& reason, Outbox& out);
  void forward(Hook& hook, TimePoint now, Outbox& out);
  void say(const Holder& about, Body body, Outbox& out);
  /// An answer to a hook's event names the round and member that the broker took it for. The hook is told.
  void bind(const Message& answer, TimePoint now, Outbox& out);
  /// Why the broker is given up.
  [[nodiscard]] std::string silence_text() const;
  /// Only the broker may then say what becomes of the hook's member.
  [[nodiscard]] bool may_have_voted(const Hook& hook) const;
  [[nodiscard]] RoundView view_of(const RoundId& round) const;
  [[nodiscard]] std::vector<RoundId> known_rounds() const;

  CoreSettings settings_;
  PodNetwork& network_;
  LockBook locks_;
  std::map<HookId, Hook> hooks_;
  std::map<Holder, std::vector<std::uint64_t>> inodes_;  ///< of locked members of a dump
  std::map<Holder, Drain> drains_;
  std::map<Holder, TimePoint> unlock_reports_;  ///< unasked Ready{unlock}, repeated until the round is over
  std::map<RoundId, RoundView> rounds_;

  bool joined_ = false;
  std::string broker_;  ///< the life of the broker that has welcomed us
  TimePoint heard_;
  std::string refusal_;       ///< the newest one, so that it is told once
  TimePoint next_heartbeat_;  ///< while not joined: the next Hello
  milliseconds hello_retry_{0};
  std::uint64_t sequence_ = 0;
  std::uint64_t published_ = 0;  ///< the newest publication seen
};

}  // namespace lockstep::agent
