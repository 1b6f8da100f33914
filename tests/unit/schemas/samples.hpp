/// One message of each type with no field left at its default, and a way to compare what came out of the codec with
/// what went in.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep {

/// What a failed test prints of a message.
inline void PrintTo(const Message& message, std::ostream* out) { *out << type_name(message.body); }

namespace test {

/// In the order of Body's alternatives, each exactly once.
[[nodiscard]] std::vector<Message> every_message();
[[nodiscard]] Socket a_socket();
/// One as kernels show them on a busy day.
[[nodiscard]] Socket busy_socket();
/// A socket all of whose numbers have their largest value: the most bytes that one can need.
[[nodiscard]] Socket largest_socket();
[[nodiscard]] NatEntry a_nat_entry();
/// The most bytes that one can need.
[[nodiscard]] NatEntry largest_nat_entry();
[[nodiscard]] Record a_record();

template <class T>
concept HasFields = requires(T& value) { T::fields(value); };

template <class T>
[[nodiscard]] bool same(const T& a, const T& b);

template <class T>
[[nodiscard]] bool same(const std::vector<T>& a, const std::vector<T>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i) equal = same(a[i], b[i]);
  return equal;
}

/// Equal in every field, all the way down.
template <class T>
bool same(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::array<PhaseTimes, kPhasesPerRound>>) {
    bool equal = true;
    for (std::size_t i = 0; i < a.size(); ++i) equal = equal && same(a[i], b[i]);
    return equal;
  } else if constexpr (HasFields<const T>) {
    return std::apply(
        [&](const auto&... left) {
          return std::apply([&](const auto&... right) { return (same(left, right) && ...); }, T::fields(b));
        },
        T::fields(a));
  } else {
    return a == b;
  }
}

/// How many of the fields are as in a default-constructed T: what a test would not notice to be lost.
template <class T>
[[nodiscard]] int fields_at_default(const T& value) {
  const T blank{};
  return std::apply(
      [&](const auto&... field) {
        return std::apply([&](const auto&... other) { return (0 + ... + (same(field, other) ? 1 : 0)); },
                          T::fields(blank));
      },
      T::fields(value));
}

}  // namespace test
}  // namespace lockstep
