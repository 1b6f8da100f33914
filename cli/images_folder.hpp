/// What an earlier round has left in a member's images folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/preflight.hpp"

namespace lockstep::cli {

/// Clears away what would be mistaken for this round's: on dump the record and CRIU's images (a failed dump must not
/// leave new images beside an old record), which are set aside where they can be restored (former_checkpoint.hpp); on
/// restore CRIU's pidfile (CRIU does not replace it). On restore into the pod of the dump it also hides the
/// connection-tracking table from CRIU. A dump touches only files that CRIU has written; `tried_before`: this command's
/// own CRIU has, in a round that failed and is tried again.
[[nodiscard]] Result<void> clear_images(Operation operation, const std::vector<ReadyMember>& members,
                                        bool tried_before = false);

/// Whether CRIU has written this file, or lockstep has hidden it from CRIU.
[[nodiscard]] bool is_image(const std::filesystem::path& path);
/// CRIU's images, none where there is no folder; the inventory last. `ours`: CRIU has been started here a moment ago.
/// Otherwise its inventory tells that the folder is CRIU's; a dump that failed has none, since CRIU writes it last.
[[nodiscard]] Result<std::vector<std::string>> images_in(const std::string& folder, bool ours);

}  // namespace lockstep::cli
