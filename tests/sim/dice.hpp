/// The only source of chance in a simulation: one seed gives the whole run, on every machine.
#pragma once

#include <cstdint>

#include "common/clock.hpp"

namespace lockstep::sim {

/// splitmix64: small, and, unlike the standard library's distributions, the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t roll() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  /// 0 to n - 1.
  int below(int n) { return static_cast<int>(roll() % static_cast<std::uint64_t>(n)); }
  bool permille(int p) { return p > 0 && below(1000) < p; }
  bool one_in(int n) { return below(n) == 0; }
  /// From `least` to `most`, both included.
  Duration between(Duration least, Duration most) {
    const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
    return least + Duration(static_cast<Duration::rep>(roll() % span));
  }

 private:
  std::uint64_t state_;
};

}  // namespace lockstep::sim
