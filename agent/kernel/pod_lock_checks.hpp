/// What both ways to lock demand of their arguments, and tell of themselves.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// Longer ones are mistakes: a lease is there to be renewed.
inline constexpr milliseconds kMaxLease = std::chrono::hours(24);
inline constexpr std::size_t kMaxExempt = 64;

/// A lease of 0 would mean "for ever" to the kernel.
[[nodiscard]] inline Result<void> check_lease(milliseconds lease) {
  if (lease > milliseconds(0) && lease <= kMaxLease) return {};
  return fail(ErrorCode::invalid, "lock for " + std::to_string(lease.count()) + " ms", "a lease is 1 ms to 24 h long");
}

/// The wall clock, for people and other processes.
[[nodiscard]] inline std::int64_t unix_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

[[nodiscard]] inline Result<void> check_exempt(const std::vector<Endpoint>& exempt) {
  if (exempt.size() > kMaxExempt)
    return fail(ErrorCode::invalid, "exempt " + std::to_string(exempt.size()) + " end points",
                "at most " + std::to_string(kMaxExempt));
  for (const Endpoint& endpoint : exempt)
    if (endpoint.port == 0) return fail(ErrorCode::invalid, "exempt an end point from the lock", "its port is 0");
  return {};
}

}  // namespace lockstep
