/// What the fuzzers have in common: cutting libFuzzer's bytes into parts, and stopping where something does not hold.
///
/// Each fuzzer defines LLVMFuzzerTestOneInput() and nothing else; libFuzzer brings main(). An input is kept as it is
/// where a decoder takes one text; where several things are needed it is a row of pieces, each behind its length.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lockstep::fuzz {

inline std::string_view view_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A copy of just its size on the heap, so that ASan sees every byte that is read beyond it.
class Copy {
 public:
  explicit Copy(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::vector<char> bytes_;
};

/// Takes an input apart from its begin. What it no longer has comes out as 0, or empty.
class Pieces {
 public:
  explicit Pieces(std::string_view rest) : rest_(rest) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  /// A piece behind its length: two bytes, the low one first.
  [[nodiscard]] std::string_view piece() {
    const std::size_t low = byte();
    const std::size_t length = std::min(low | std::size_t{byte()} << 8U, rest_.size());
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// The other way round, for seeds.
inline std::string piece_of(std::string_view bytes) {
  std::string piece{static_cast<char>(bytes.size()), static_cast<char>(bytes.size() >> 8U)};
  return piece.append(bytes);
}

/// What must hold whatever came in. libFuzzer takes the abort for a finding, and keeps the input.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace lockstep::fuzz
