#include "tests/sim/faults.hpp"

#include <algorithm>
#include <array>

namespace lockstep::sim {
namespace {

constexpr std::array<const char*, kFaultKinds> kNames{"broker crash", "broker pause", "agent crash",     "agent stop",
                                                      "agent pause",  "hook kill",    "hook pause",      "CRIU kill",
                                                      "CRIU failure", "disk full",    "journal failure", "pod failure",
                                                      "cut",          "storm",        "operator's abort",
                                                      "command failure", "command silence"};

/// Shorter and longer than everything that somebody waits for.
Duration draw_length(Dice& dice, const Setting& setting) {
  const int how = dice.below(10);
  if (how < 4) return dice.between(milliseconds(1), milliseconds(400));
  if (how < 7) return dice.between(milliseconds(400), setting.silence);
  if (how < 9) return dice.between(setting.silence, setting.silence * 3);
  return dice.between(setting.silence, setting.lease + setting.silence);
}

int targets_of(FaultKind kind, const Setting& setting) {
  switch (kind) {
    case FaultKind::agent_crash:
    case FaultKind::agent_stop:
    case FaultKind::agent_pause:
    case FaultKind::cut: return static_cast<int>(setting.agents.size());
    case FaultKind::pod_failure: return static_cast<int>(setting.pods.size());
    default: return static_cast<int>(setting.members.size());
  }
}

}  // namespace

std::string text_of(const Fault& fault) {
  const auto length = std::chrono::duration_cast<milliseconds>(fault.length).count();
  return std::string(kNames[static_cast<std::size_t>(fault.kind)]) + ", target " + std::to_string(fault.target) + ", " +
         std::to_string(length) + " ms, detail " + std::to_string(fault.detail);
}

std::vector<Fault> draw_faults(Dice& dice, const Setting& setting, int count, int first) {
  // A round without faults takes some 50 steps for each member.
  const int busy = 60 * static_cast<int>(setting.members.size());
  std::vector<Fault> faults;
  for (int i = 0; i < count; ++i) {
    Fault fault;
    fault.kind = static_cast<FaultKind>(dice.below(kFaultKinds));
    fault.step = first + dice.below(dice.one_in(4) ? 3 * busy : busy);
    fault.target = dice.below(targets_of(fault.kind, setting));
    fault.length = draw_length(dice, setting);
    fault.detail = fault.kind == FaultKind::storm ? 20 + dice.below(400) : dice.below(12);
    faults.push_back(fault);
  }
  std::ranges::stable_sort(faults, {}, &Fault::step);
  return faults;
}

}  // namespace lockstep::sim
