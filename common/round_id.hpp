/// Names for new rounds.
#pragma once

#include "common/ids.hpp"
#include "common/result.hpp"

namespace lockstep {

/// When it began, so that ids sort as rounds went, and a random part, so that no two openers ever choose the same one.
[[nodiscard]] Result<RoundId> new_round_id();

}  // namespace lockstep
