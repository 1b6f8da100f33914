/// Every order in which the messages of a commit phase can arrive, with one crash of any part anywhere in it.
///
/// Depth first over what may happen next: the head of any channel is delivered; with none left, time passes to the next
/// deadline; and, once on each path, the broker or an agent dies and is back at once, with or without what it had just
/// sent, or a hook is killed. Cores can't be copied, so that each branch begins with a new world that is brought to the
/// same point again. Two points at which every part has seen the same and the same is under way are one state, and are
/// looked at once: that makes some 300,000 states of billions of orders.
///
/// A path ends when no commit hook waits any more; then the world runs on by itself until all is over and every lock is
/// gone. Not explored: slow messages (time passes only when nothing is under way), a second crash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/world.hpp"

namespace lockstep::sim {

struct Exploration {
  std::uint64_t states = 0;
  std::uint64_t ends = 0;             ///< states in which no commit hook waits any more
  std::uint64_t committed = 0;        ///< of these: decided to commit
  std::optional<std::string> broken;  ///< the rule, and how
  std::vector<std::string> trace;     ///< of the path that broke it
};

[[nodiscard]] Exploration explore_commit(Operation operation, int members);

}  // namespace lockstep::sim
