/// Small files: read whole, written whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace lockstep::cli {

/// All of a file; invalid when it is longer than `limit` bytes, not_found when there is none.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);
/// The last `limit` bytes of a file, or all of it.
[[nodiscard]] Result<std::string> read_tail(const std::string& path, std::size_t limit);
/// Replaces a file by one with this content, in one step: readers see the old or the new one.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view content);
/// Removes a file; one that is not there is fine.
[[nodiscard]] Result<void> remove_file(const std::string& path);

}  // namespace lockstep::cli
