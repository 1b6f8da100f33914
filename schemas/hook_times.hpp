/// How long one hook took, as it leaves it in CRIU's log when it ends, for whoever started that CRIU: the broker sees
/// when a hook's word arrives, and neither how long the hook needed to say it nor when CRIU went on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep {

struct HookTimes {
  HookAction action = HookAction::pre_dump;
  microseconds forked{};  ///< CRIU has started it: on this machine's steady clock, so that hooks can be compared
  // Since then:
  microseconds said{};   ///< its event was out
  microseconds heard{};  ///< the verdict was there
  microseconds ended{};  ///< it has done what follows from that, and has ended
};

/// `(lockstep-hook) network-lock: forked at 1234567890 us, said after 912 us, heard after 3300 us, ended after 3411
/// us`, with a newline.
[[nodiscard]] std::string to_log_line(const HookTimes& times);
/// Nothing for any other line.
[[nodiscard]] std::optional<HookTimes> parse_log_line(std::string_view line);

}  // namespace lockstep
