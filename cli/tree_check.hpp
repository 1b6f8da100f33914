/// The members' live trees, looked at for what CRIU can't dump or only with an option: cli/scan reads, cli/examine
/// judges.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/member_driver.hpp"

namespace lockstep::cli {

/// Adds to `findings`, and fills `more_options`, of each member. Fails only when a tree can't be looked at.
[[nodiscard]] Result<void> examine_trees(std::vector<ReadyMember>& members);

/// Nothing when every tree can be dumped; else an error that names each obstacle.
[[nodiscard]] Result<void> check_examined(const std::vector<ReadyMember>& members);

/// What the dump's driver is told in place of CRIU's options: Podman has a word for some, and passes no others. Pure.
[[nodiscard]] std::vector<Finding> for_podman(std::vector<Finding> findings);

// --- options that a restore needs because its dump did ---------------------------------------------------------------

/// Beside the images: one option a line.
inline constexpr std::string_view kOptionsFile = "lockstep.options";
/// Keeps them with the images that are about to be written, and removes those of an earlier round.
[[nodiscard]] Result<void> keep_options(const ReadyMember& ready);
/// What the images want to be restored with. Fails where they want anything that keep_options() would not.
[[nodiscard]] Result<std::vector<std::string>> kept_options(const ReadyMember& ready);

}  // namespace lockstep::cli
