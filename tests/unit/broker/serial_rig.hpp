/// A round in which a runtime dumps the members of a pod one after another: m1 and m2 live in pod 1, m3 in pod 2.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/broker/rig.hpp"

namespace lockstep::broker::test {

inline constexpr std::size_t kPreparePhase = 0;
inline constexpr std::size_t kLockPhase = 1;
inline constexpr std::size_t kCommitPhase = 2;
inline constexpr std::size_t kUnlockPhase = 3;

class SerialRig {
 public:
  /// Opens nothing.
  explicit SerialRig(Journal* journal = nullptr);
  [[nodiscard]] static OpenRound serial_plan(MemberOrder order = MemberOrder::serial);

  /// The hook of a member comes, to its pod's agent.
  Actions arrive(int number, std::size_t phase);
  /// The agent has done its order; at the lock with these sockets.
  Actions ready(int number, std::size_t phase, SocketTable sockets = {});
  /// Both, and what was wanted in return.
  Actions pass(int number, std::size_t phase, SocketTable sockets = {});
  /// m1 and m3 have come and are locked; m1 has gone early.
  void walk_to_early();
  /// Then m2 as far as to its vote, which is still to be cast, like that of m3.
  void walk_to_votes();

  [[nodiscard]] static PeerId agent_of(int number) { return agent(number == 3 ? 2 : 1); }
  /// The record in the order to commit that was sent.
  [[nodiscard]] static Record record_in(const Actions& actions, int number);

  Rig rig;
};

}  // namespace lockstep::broker::test
