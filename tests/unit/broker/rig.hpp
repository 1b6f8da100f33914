/// A broker's core with a clock of its own, and peers that say what a test lets them say.
///
/// Members m1, m2 … live in pods 1, 2 … owned by the agents a1, a2 …; `cli` is the command line.
#pragma once

#include <string>
#include <vector>

#include "broker/core/broker_core.hpp"
#include "broker/core/memory_journal.hpp"

namespace lockstep::broker::test {

inline const RoundId kRound("r-1");
inline const GroupId kGroup("shop");
inline const PeerId kClient("cli");

[[nodiscard]] inline MemberId member(int number) { return MemberId("m" + std::to_string(number)); }
[[nodiscard]] inline PeerId agent(int number) { return PeerId("a" + std::to_string(number)); }
[[nodiscard]] inline PodId pod(int number) { return {"boot-1", 1000 + static_cast<std::uint64_t>(number)}; }

/// The action of the operation's phase `index` (0 to 3).
[[nodiscard]] HookAction action_of(Operation operation, std::size_t index);
/// What CRIU's hook of a member says.
[[nodiscard]] HookEvent hook(HookAction action, int number);
/// Members 1 to `members`, each in a pod of its own.
[[nodiscard]] OpenRound plan(Operation operation, int members, bool leave_running = false);
/// The record of a committed dump, as a restore finds it.
[[nodiscard]] Record record(int number, int members, const RoundId& round = RoundId("r-0"));

/// What the core wanted done in one turn.
struct Actions {
  std::vector<Action> all;

  [[nodiscard]] std::vector<Message> sent_to(const PeerId& peer) const;
  [[nodiscard]] std::vector<Message> published(std::string_view topic) const;
  /// All but log lines and status publications, one line each: "a1 < Order lock m1", "PUB Release commit go".
  [[nodiscard]] std::vector<std::string> lines() const;
  [[nodiscard]] std::string log() const;
};

class Rig {
 public:
  explicit Rig(CoreSettings settings = {.name = "broker-1"});
  /// A broker that finds this journal, which outlives it. What it said when it started is in `recovered()`.
  explicit Rig(Journal& journal, CoreSettings settings = {.name = "broker-1"});

  Actions hello(const PeerId& from, Hello hello);
  /// Agents 1 to `count` and the client say Hello.
  void everybody_says_hello(int count);
  Actions say(const PeerId& from, Message message);
  /// In kRound, about a member.
  Actions say(const PeerId& from, int number, Body body, std::uint64_t sequence = 7);
  /// The client about kRound of kGroup.
  Actions ask(Body body);
  Actions open(const OpenRound& plan);
  Actions time();
  /// Lets time pass, as the shell would: on_time() when it is due. Agents 1 to `alive` send their heartbeats.
  Actions pass(milliseconds duration, int alive = 0);
  Actions lose(const PeerId& peer);

  /// The hook of the operation's phase comes, and the agent does what it is told.
  Actions arrive(int number, std::size_t phase);
  Actions ready(int number, std::size_t phase);
  /// Members 1 to `members` pass phases 0 to `phases` - 1.
  void walk(int members, std::size_t phases);

  [[nodiscard]] RoundStatus status(const RoundId& round = kRound);
  [[nodiscard]] BrokerStatus broker();
  [[nodiscard]] const Actions& recovered() const { return recovered_; }
  [[nodiscard]] BrokerCore& core() { return core_; }
  [[nodiscard]] TimePoint now() const { return now_; }
  void sleep(milliseconds duration) { now_ += duration; }

 private:
  /// As the shell does: what is to be archived, is.
  Actions take();

  TimePoint now_{std::chrono::hours(1)};
  MemoryJournal own_journal_;
  Journal& journal_;
  BrokerCore core_;
  Outbox out_;
  Actions recovered_;
  Operation operation_ = Operation::dump;
  int members_ = 0;
};

}  // namespace lockstep::broker::test
