/// What verify_images() has found, for people and for programs.
#pragma once

#include <string>

#include "cli/verify_images.hpp"

namespace lockstep::cli {

/// One line, without its newline: "round R of group G: consistent: 3 members, 12 internal connections fit, …".
[[nodiscard]] std::string cut_line(const CutSummary& summary);
/// The table of internal connections (those that don't fit first), what is wrong, the remarks, and the line above.
[[nodiscard]] std::string cut_text(const CutSummary& summary);
/// One object, indented, with a newline at its end. Sequence numbers are the kernel's, modulo 2^32.
[[nodiscard]] std::string cut_json(const CutSummary& summary, int exit_code);

}  // namespace lockstep::cli
