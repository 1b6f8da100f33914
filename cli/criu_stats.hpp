/// CRIU's own times, out of the statistics image that it leaves next to the others.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

struct DumpTimes {
  std::chrono::microseconds freezing{};
  std::chrono::microseconds frozen{};
  std::chrono::microseconds memory_dump{};
  std::chrono::microseconds memory_write{};
};

struct RestoreTimes {
  std::chrono::microseconds forking{};
  std::chrono::microseconds restoring{};
};

/// One of the two, after what the image is about.
struct CriuTimes {
  std::optional<DumpTimes> dump;
  std::optional<RestoreTimes> restore;
};

/// Reads an image's bytes: two magic words, a length, a protobuf entry. invalid for anything else.
[[nodiscard]] Result<CriuTimes> parse_criu_stats(std::string_view bytes);
/// Reads stats-dump or stats-restore in an images folder. not_found where CRIU has written none.
[[nodiscard]] Result<CriuTimes> read_criu_stats(const std::string& images, Operation operation);

}  // namespace lockstep::cli
