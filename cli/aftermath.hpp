/// What lockstep itself does to files and looks after when all CRIUs of a round have ended.
#pragma once

#include <vector>

#include "cli/preflight.hpp"
#include "cli/report.hpp"
#include "common/clock.hpp"

namespace lockstep::cli {

/// Brings a committed checkpoint's images to the disk, checks that the trees have gone (dump and kill) or run on
/// (otherwise), and, when the broker was lost, tells from the records what has become of the round.
void after_checkpoint(const std::vector<ReadyMember>& members, Report& report);

/// Writes the restored trees' pids into the group's pidfiles, and compares the running trees with their images
/// (restored/compare.hpp); after a failure, names what CRIU has left running. `opened`: when the round was, or before.
void after_restore(const std::vector<ReadyMember>& members, TimePoint opened, Report& report);

}  // namespace lockstep::cli
