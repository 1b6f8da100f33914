/// What may go wrong in a simulation, and when. A fault strikes before a given step of the world: steps are dense while
/// a round is busy, so that the moments that matter are hit more often than by the clock.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/network.hpp"
#include "tests/sim/setting.hpp"

namespace lockstep::sim {

enum class FaultKind : std::uint8_t {
  broker_crash,  ///< memory and what it was about to say are lost; back after `length`
  broker_pause,  ///< SIGSTOP for `length`
  agent_crash,   ///< of agent `target`
  agent_stop,    ///< SIGTERM: it gives its locks back
  agent_pause,
  hook_kill,  ///< the hook that member `target` has at that moment
  hook_pause,
  criu_kill,        ///< its CRIU, and the hook with it
  criu_failure,     ///< its CRIU will fail by itself
  disk_full,        ///< its record can't be stored
  journal_failure,  ///< of the broker's journal, for `length`; `detail` tells which DiskTrouble
  pod_failure,      ///< the kernel refuses every call about pod `target`
  cut,              ///< agent `target` and the broker don't hear one another, `detail` tells which directions and how
  storm,            ///< messages get lost, doubled and slow; `detail` in thousandths
  operator_abort,
  command_failure,   ///< the next commands of member `target` fail
  command_silence,   ///< the client says nothing of commands for `length`, as if it were dead
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::command_silence) + 1;

struct Fault {
  int step = 0;
  FaultKind kind = FaultKind::broker_crash;
  int target = 0;
  Duration length{};
  int detail = 0;  ///< crashes: how many of its next actions are still performed
};

[[nodiscard]] std::string text_of(const Fault& fault);
/// `count` faults at steps from `first` on, in order.
[[nodiscard]] std::vector<Fault> draw_faults(Dice& dice, const Setting& setting, int count, int first);

}  // namespace lockstep::sim
