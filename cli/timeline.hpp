/// A round as a picture of text: a bar for each member, time from left to right. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "schemas/messages.hpp"

namespace lockstep::cli {

struct TimelineStyle {
  std::size_t width = 60;  ///< columns of a bar, 24 at least
  bool utf8 = true;        ///< else ASCII
};

/// Bars and, below them, the time's scale and the legend; empty for a round in which nothing has happened yet. The
/// picture begins with the first member's arrival: before it CRIU only makes itself ready.
///
///     server  ──────░░▒▒▒▒▒▒▒▒▒▒▒▓▓▓══
///     client    ────░░▒▒▒▒▒▓▓▓▓▓▓▓▓▓══
///             150.2 ms        282.4 ms
///             ─ prepare  ░ frozen, locking  ▒ dumping  ▓ waits for the others  ═ until unlocked
[[nodiscard]] std::string draw_timeline(const RoundStatus& status, const TimelineStyle& style);

/// Whether the user's locale shows UTF-8, after the environment's LC_ALL, LC_CTYPE, LANG.
[[nodiscard]] bool locale_is_utf8();

}  // namespace lockstep::cli
