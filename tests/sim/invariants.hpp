/// What must always hold, judged by one who sees everything: every message that leaves the broker, every lock in the
/// kernel, every exit of a hook, every entry of the journal. One thread.
///
/// The rules, with the numbers of schemas/PROTOCOL.md where they have one:
///
///   votes      (2) the decision is in the journal before a release of it leaves the broker, and by then every member
///   has
///              voted, with its record stored (dump). After it no abort of the round leaves the broker.
///   one end    No round has one member whose commit hook exited with 0 and another one whose commit hook was told to
///              abort. Nobody is told to before the decision and the round is decided all the same. Excepted: a hook
///              that was killed, and one that has waited for as long as in_doubt and its own limit allow.
///   the cut    (1, 3) When the lock barrier opens every pod of the round is locked. A pod that stood locked then has
///              stood locked without a gap at the decision. (Of an aborted round nobody relies on that; after the
///              decision the images are complete.)
///   records    (6) A record has its final name only in a decided round, and it is that round's.
///   apart      What lets a hook go, and what it stores, belongs to the round and the member that its CRIU was started
///   for;
///              so does what an agent is ordered to do in a pod. (Excepted: network-unlock of a hook that does not know
///              its round. CRIU ignores its exit.)
///   the hold   No order to vote leaves the broker, and no round is decided, before the commands at the frozen point of
///              all its members have succeeded.
///   early      Who is let go before the decision, alone, has voted, shares its pod, and leaves a conditional record,
///   which
///              no restore relies on unless its round was decided. (That an early go is not taken for the decision is
///              what "one end" and "the cut" see.)
///   leases     A lock whose agent is dead is gone when its lease is over.
///   an answer  No hook lives longer than its limit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schemas/messages.hpp"
#include "tests/sim/kernel.hpp"
#include "tests/sim/setting.hpp"

namespace lockstep::sim {

/// A member's images folder.
struct Images {
  std::string part;  ///< the record under its temporary name
  std::string record;
};

/// How a hook process ended.
enum class HookEnd : std::uint8_t { go, abort, killed };

class Invariants {
 public:
  Invariants(const Setting& setting, const Kernel& kernel) : setting_(setting), kernel_(kernel) {}

  void opened(const RoundId& round, Operation operation, const std::vector<int>& members);
  /// The commands of a member at the frozen point have succeeded.
  void command_done(const RoundId& round, const MemberId& member);
  void leaves_broker(const Message& message);
  void leaves_agent(const Message& message);
  void reaches_agent(const Message& message);
  void reaches_hook(int member, const RoundId& round, HookAction action, const Message& message);
  void decided(const RoundId& round, const std::vector<Images>& images);
  /// The decision does not stand in the journal any more.
  void taken_back(const RoundId& round);
  /// `waited`: as long as it might, so that an abort of its own is in order.
  void hook_ended(int member, const RoundId& round, HookAction action, HookEnd end, bool waited);
  void record_named(int member, const RoundId& round, const Images& images);
  void agent_died(OwnerNumber owner) { died_[owner] = kernel_.now(); }
  /// To be called after every step.
  void check_leases();
  void fail(const std::string& rule, const std::string& what);

  /// The first rule that has been broken, and how.
  [[nodiscard]] const std::optional<std::string>& broken() const { return broken_; }
  [[nodiscard]] bool is_decided(const RoundId& round) const;

 private:
  struct Share {
    int member = 0;
    bool voted = false;
    bool commands_left = false;     ///< at the frozen point
    bool early = false;             ///< was let go before the decision
    std::optional<HookEnd> commit;  ///< of its post-dump or post-restore; an abort by its own limit is none
  };
  struct Round {
    Operation operation = Operation::dump;
    std::vector<Share> shares;
    bool decided = false;
    std::optional<TimePoint> lock_opened;
  };

  [[nodiscard]] Round* find(const RoundId& round);
  [[nodiscard]] const Kernel::Pod& pod_of(const Share& share) const;
  [[nodiscard]] std::string name(const Share& share) const;
  void check_early(const RoundId& id, Round& round, const Message& message, const Release& release);
  void check_go(const RoundId& id, Round& round, const Release& release);
  void check_cut(const RoundId& id, const Round& round);
  void check_hold(const RoundId& id, const Round& round);
  /// Every member of a restore that is decided comes back from what a decided round has saved.
  void check_restored(const RoundId& id, const Round& round, const std::vector<Images>& images);
  void check_one_end(const RoundId& id, const Round& round);

  const Setting& setting_;
  const Kernel& kernel_;
  std::map<RoundId, Round> rounds_;
  std::map<OwnerNumber, TimePoint> died_;
  std::optional<std::string> broken_;
};

}  // namespace lockstep::sim
