/// Where the memcached client leaves its numbers.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::apps {

inline constexpr std::uint32_t kItemsPerKey = 10'000;

[[nodiscard]] inline std::string memcached_key(std::uint32_t connection, std::uint32_t sequence) {
  return "items:" + std::to_string(connection) + ":" + std::to_string((sequence - 1) / kItemsPerKey);
}

}  // namespace lockstep::apps
