/// The text of CRIU's configuration files: what they make a runtime's CRIU do, and our block in them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

/// What matters to us of a file.
struct CriuConfig {
  std::vector<std::string> action_scripts;  ///< in their order
  std::string network_lock;                 ///< the last one counts; empty: not set
  bool tcp_close = false;                   ///< would close what is to be kept
};

/// Lines are `option value`, with or without quotes; # begins a comment.
[[nodiscard]] CriuConfig read_criu_config(std::string_view text);

/// The names of our hook among the action scripts.
[[nodiscard]] std::vector<std::string> hooks_in(const CriuConfig& config);

/// The text with our block at its end, where it wins over what stands before. A block that is there is replaced; every
/// other line stays as it is.
[[nodiscard]] std::string with_block(std::string_view text, std::string_view hook);
/// The text without our block.
[[nodiscard]] std::string without_block(std::string_view text);
[[nodiscard]] bool has_block(std::string_view text);

}  // namespace lockstep::cli
