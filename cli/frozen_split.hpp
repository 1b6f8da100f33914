/// Where the time goes in which the members of a dump stand still: what of it is their CRIU's own work, what is waiting
/// for the CRIUs of others, and what is lockstep's. Pure.
///
/// A member stands still while CRIU freezes it, and from then on until CRIU lets it go. In that time CRIU starts three
/// hooks, and each has to pass a barrier:
///
///     this CRIU     the last CRIU      the last event   the last pod        released      this hook has ended:
///     starts its    starts its hook    has come to      is ready                          CRIU goes on
///     hook                             the broker
///       ├─── others ──────┼──── hooks ────┼─── lock ───────┼──── barriers ────┼──────── barriers ────┤
///
/// Until the last CRIU has come, a member waits for others' work; what comes then would not be there without lockstep,
/// and is lockstep's, to the microsecond. At the vote (post-dump) the third part, the record, counts as barriers too.
///
/// The hooks measure both ends themselves, on one clock, since all CRIUs of a round run on the client's machine. When
/// events arrived, and when pods were ready, the broker tells, perhaps on another machine: its clock is taken to be as
/// late as it can be with no event arriving before it was sent. That can shift a border between two of lockstep's own
/// parts by what a message takes, and no sum. What CRIU needs to fork a hook and to reap it counts as CRIU's: nobody
/// measures it; it is some 0.3 ms for each.
#pragma once

#include <optional>
#include <vector>

#include "cli/criu_stats.hpp"
#include "cli/hook_log.hpp"
#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// What is known of one member.
struct FrozenSources {
  std::optional<DumpTimes> criu;  ///< CRIU's statistics
  HookLog hooks{};                ///< out of CRIU's log
};

/// The parts add up to `still`. None: not known, which is not the same as nothing.
struct FrozenSplit {
  using Time = std::optional<microseconds>;
  Time still;     ///< from the first task that CRIU stops to the last that it lets go
  Time freezing;  ///< CRIU: until all tasks are stopped
  Time memory;    ///< CRIU: reading pages, and writing them (memdump_time, which contains memwrite_time)
  Time rest;      ///< CRIU: everything else; and forking and reaping hooks
  Time others;    ///< waiting for other members' CRIUs
  Time commands;  ///< the members' own commands at the frozen point
  Time hooks;     ///< lockstep: starting, looking at the tree, saying so
  Time lock;      ///< lockstep: locking the pods and reading their tables, and unlocking them
  Time barriers;  ///< lockstep: records, votes, the decision, and the word to go on
  /// hooks + lock + barriers
  [[nodiscard]] Time lockstep() const;
};

/// For each member of a dump, in the order of status.members; `sources` is as long. Of a restore nothing is known, of a
/// serial round CRIU's own measures alone.
[[nodiscard]] std::vector<FrozenSplit> split_frozen(const RoundStatus& status,
                                                    const std::vector<FrozenSources>& sources);

}  // namespace lockstep::cli
