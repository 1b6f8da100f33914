/// Waiting for a condition, never for a time.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace lockstep::e2e {

using namespace std::chrono_literals;

/// Asks every 2 ms until `condition` holds. False when it still does not after `limit`.
[[nodiscard]] inline bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

}  // namespace lockstep::e2e
