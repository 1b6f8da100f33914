#include "cli/frozen_split.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace lockstep::cli {
namespace {

/// One barrier, in microseconds of the hooks' clock.
struct Barrier {
  std::int64_t last_forked = 0;   ///< the last CRIU has come
  std::int64_t last_arrived = 0;  ///< the last event has come to the broker
  std::int64_t held = 0;          ///< the commands at the frozen point were done
  std::int64_t last_ready = 0;
};

/// Whether the member has passed this barrier, and it is known when.
bool is_known(const PhaseTimes& times, const std::optional<HookTimes>& hook) {
  return hook && times.arrived_us >= 0 && times.ready_us >= 0 && times.released_us >= 0;
}

std::int64_t forked(const HookTimes& hook) { return hook.forked.count(); }

/// What is to be added to the broker's times: no event has arrived before it was sent.
std::int64_t offset_of(const RoundStatus& status, const std::vector<FrozenSources>& sources,
                       const std::vector<std::size_t>& places) {
  std::int64_t offset = std::numeric_limits<std::int64_t>::min();
  for (const std::size_t place : places) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const HookTimes& hook = *sources[i].hooks[place];
      offset = std::max(offset, forked(hook) + hook.said.count() - status.members[i].phases[place].arrived_us);
    }
  }
  return offset;
}

Barrier look_at(const RoundStatus& status, const std::vector<FrozenSources>& sources, std::size_t place,
                std::int64_t offset) {
  Barrier barrier;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const PhaseTimes& times = status.members[i].phases[place];
    barrier.last_forked = std::max(barrier.last_forked, forked(*sources[i].hooks[place]));
    barrier.last_arrived = std::max(barrier.last_arrived, times.arrived_us + offset);
    barrier.last_ready = std::max(barrier.last_ready, times.ready_us + offset);
  }
  barrier.held = place == kCommit && status.hold_end_us >= 0 ? status.hold_end_us + offset : barrier.last_arrived;
  return barrier;
}

/// What one barrier has cost one member.
struct Share {
  microseconds others{};
  microseconds hooks{};
  microseconds commands{};
  microseconds lock{};
  microseconds barriers{};
};

Share share_of(const Barrier& barrier, const HookTimes& hook, std::size_t place) {
  std::int64_t at = forked(hook);
  const std::int64_t end = at + hook.ended.count();
  const auto until = [&](std::int64_t border) {
    border = std::clamp(border, at, end);
    return microseconds(border - std::exchange(at, border));
  };
  Share share;
  share.others = until(barrier.last_forked);
  share.hooks = until(barrier.last_arrived);
  share.commands = until(barrier.held);
  (place == kCommit ? share.barriers : share.lock) = until(barrier.last_ready);
  share.barriers += until(end);
  return share;
}

/// The barriers that every frozen member of the round had to pass; none where one of them is not known of somebody.
std::vector<std::size_t> known_places(const RoundStatus& status, const std::vector<FrozenSources>& sources) {
  if (status.serial) return {};  // one waits for another there, and not for all
  // Of tasks that are killed nobody waits at the last one.
  std::vector<std::size_t> places{kLock, kCommit};  // nothing is frozen at prepare
  if (status.leave_running) places.push_back(kFinal);
  for (const std::size_t place : places) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!is_known(status.members[i].phases[place], sources[i].hooks[place])) return {};
    }
  }
  return places;
}

}  // namespace

FrozenSplit::Time FrozenSplit::lockstep() const {
  if (!hooks || !lock || !barriers) return std::nullopt;
  return *hooks + *lock + *barriers;
}

std::vector<FrozenSplit> split_frozen(const RoundStatus& status, const std::vector<FrozenSources>& sources) {
  std::vector<FrozenSplit> splits(status.members.size());
  if (status.operation != Operation::dump) return splits;
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (!sources[i].criu) continue;
    const DumpTimes& criu = *sources[i].criu;
    splits[i].still = criu.freezing + criu.frozen;
    splits[i].freezing = criu.freezing;
    splits[i].memory = criu.memory_dump;  // writing is a part of it (mem.c, __parasite_dump_pages_seized)
  }
  const std::vector<std::size_t> places = known_places(status, sources);
  if (places.empty()) return splits;
  const std::int64_t offset = offset_of(status, sources, places);
  for (FrozenSplit& split : splits) {
    split.others = split.commands = split.hooks = split.lock = split.barriers = microseconds(0);
  }
  for (const std::size_t place : places) {
    const Barrier barrier = look_at(status, sources, place, offset);
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const Share share = share_of(barrier, *sources[i].hooks[place], place);
      *splits[i].others += share.others;
      *splits[i].commands += share.commands;
      *splits[i].hooks += share.hooks;
      *splits[i].lock += share.lock;
      *splits[i].barriers += share.barriers;
    }
  }
  for (FrozenSplit& split : splits) {
    if (!split.still) continue;
    const microseconds rest =
        *split.still - *split.freezing - *split.memory - *split.others - *split.commands - *split.lockstep();
    if (rest.count() >= 0) split.rest = rest;  // else the sources are not of one dump
  }
  return splits;
}

}  // namespace lockstep::cli
