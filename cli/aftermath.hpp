/// What lockstep itself does to files and looks after, before a round's CRIUs are started and after all have ended.
#pragma once

#include <vector>

#include "cli/preflight.hpp"
#include "cli/report.hpp"

namespace lockstep::cli {

/// Removes what an earlier round left in the images folders and would be mistaken for this round's: on dump the record
/// (a failed dump must not leave new images beside an old record), on restore CRIU's pidfile (CRIU does not replace
/// it). On restore into the pod of the dump it also hides the connection-tracking table from CRIU.
[[nodiscard]] Result<void> clear_images(Operation operation, const std::vector<ReadyMember>& members);

/// Brings a committed checkpoint's images to the disk, checks that the trees have gone (dump and kill) or run on
/// (otherwise), and, when the broker was lost, tells from the records what has become of the round.
void after_checkpoint(const std::vector<ReadyMember>& members, Report& report);

/// Writes the restored trees' pids into the group's pidfiles; after a failure, names what CRIU has left running.
void after_restore(const std::vector<ReadyMember>& members, Report& report);

}  // namespace lockstep::cli
