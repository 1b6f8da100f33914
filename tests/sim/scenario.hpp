/// The story of one seed: a setting, one or two acts in which rounds meet faults, then peace, in which every lock has
/// to go and a fresh round of each group has to commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world.hpp"

namespace lockstep::sim {

struct Outcome {
  std::optional<std::string> broken;  ///< the rule, and how
  int rounds = 0;
  int committed = 0;  ///< of the rounds that met faults
  int faulty = 0;
  int steps = 0;
};

/// `members`: of each group; 0: as chance will have it.
[[nodiscard]] Outcome run_seed(std::uint64_t seed, int members, Trace& trace);

/// What a person needs to see of a seed that has failed: the rule, the faults, the last `lines` of its trace.
[[nodiscard]] std::string report(std::uint64_t seed, int members, std::size_t lines);

/// The first failing seed of a range, [from, to); sums what the others did.
struct Sweep {
  std::optional<std::uint64_t> failed;
  Outcome sum;
};
[[nodiscard]] Sweep sweep(std::uint64_t from, std::uint64_t to, int members);

}  // namespace lockstep::sim
