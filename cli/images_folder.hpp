/// What an earlier round has left in a member's images folder.
#pragma once

#include <vector>

#include "cli/preflight.hpp"

namespace lockstep::cli {

/// Removes what would be mistaken for this round's: on dump the record and CRIU's images (a failed dump must not leave
/// new images beside an old record), on restore CRIU's pidfile (CRIU does not replace it). On restore into the pod of
/// the dump it also hides the connection-tracking table from CRIU. A dump touches only files that CRIU has written;
/// `tried_before`: this command's own CRIU has, in a round that failed and is tried again.
[[nodiscard]] Result<void> clear_images(Operation operation, const std::vector<ReadyMember>& members,
                                        bool tried_before = false);

}  // namespace lockstep::cli
