/// Numbers of repeated measurements.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/clock.hpp"

namespace lockstep::bench {

/// Collects durations, and tells them in milliseconds.
class Samples {
 public:
  void add(Duration sample) { milliseconds_.push_back(std::chrono::duration<double, std::milli>(sample).count()); }
  void add(double sample_ms) { milliseconds_.push_back(sample_ms); }
  [[nodiscard]] std::size_t count() const { return milliseconds_.size(); }
  /// Of an even number of samples, the upper one of the middle two. 0 where there are none.
  [[nodiscard]] double median() const {
    if (milliseconds_.empty()) return 0;
    std::vector<double> sorted = milliseconds_;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
  [[nodiscard]] double min() const { return milliseconds_.empty() ? 0 : *std::ranges::min_element(milliseconds_); }
  [[nodiscard]] double max() const { return milliseconds_.empty() ? 0 : *std::ranges::max_element(milliseconds_); }
  [[nodiscard]] nlohmann::json json() const {
    return {{"median_ms", median()}, {"min_ms", min()}, {"max_ms", max()}, {"samples", count()}};
  }

 private:
  std::vector<double> milliseconds_;
};

}  // namespace lockstep::bench
