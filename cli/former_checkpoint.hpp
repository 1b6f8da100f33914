/// A member's former checkpoint while a new one is made: set aside beside the new images, and brought back when their
/// round is aborted. Only renames, so it costs no time and no room of its own; both need room until the round is over.
///
///   set aside: IMAGES -> FORMER.part, one file at a time -> FORMER, in one step
///   put back:  FORMER -> FORMER.part, in one step -> IMAGES, one file at a time
///
/// So what is in FORMER.part belongs in IMAGES, whoever was interrupted; FORMER is whole while it has a record, and
/// what is left of one that was being removed where it has none.
#pragma once

#include <string>
#include <vector>

#include "cli/preflight.hpp"
#include "cli/report.hpp"
#include "common/fd.hpp"

namespace lockstep::cli {

/// FORMER: the folder `former` in the images folder; for Podman, which exports its whole folder, `IMAGES.former`.
[[nodiscard]] std::string former_folder(const ReadyMember& ready);

/// Held from before set_aside() until after settle_former(): another command may open its round for the same members as
/// soon as this one's is over. Given up by the kernel when this process ends.
[[nodiscard]] Result<std::vector<Fd>> hold_images(const std::vector<ReadyMember>& members);

/// Before the round's CRIUs: empties the images folders of what CRIU and lockstep have written. Committed checkpoints
/// are set aside, all else goes; what was set aside before stays where nothing newer can be restored. Looks at all
/// members before it touches one. `tried_before`: see clear_images().
[[nodiscard]] Result<void> set_aside(const std::vector<ReadyMember>& members, bool tried_before);

/// Undoes set_aside() for one member: whatever has been written since goes. Does nothing where a checkpoint is in
/// place. `ours`: its CRIU has been started here. `aborted`: the round, where one has been run.
[[nodiscard]] Result<void> put_back(const ReadyMember& ready, bool ours, const RoundId& aborted = {});

/// After the round: former checkpoints go when it is committed, come back when it is aborted, and are told of in all
/// other cases. Errors become notes.
void settle_former(const std::vector<ReadyMember>& members, Report& report);

/// For an images folder in which something is missing: where its former checkpoint is and how it comes back, as the end
/// of a sentence; empty where there is none.
[[nodiscard]] std::string former_hint(std::string images);

}  // namespace lockstep::cli
