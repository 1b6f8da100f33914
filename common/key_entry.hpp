/// Who a key belongs to, and what it is good for. Header-only and without a socket, so that the broker's core can use
/// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

enum class KeyRole : std::uint8_t {
  agent,      ///< locks pods and carries hooks, on the one node that the key names
  operator_,  ///< opens, aborts and reads rounds
  observer,   ///< reads them
};

inline constexpr std::array kKeyRoles{KeyRole::agent, KeyRole::operator_, KeyRole::observer};

[[nodiscard]] constexpr std::string_view to_string(KeyRole role) {
  switch (role) {
    case KeyRole::agent: return "agent";
    case KeyRole::operator_: return "operator";
    case KeyRole::observer: return "observer";
  }
  return "?";
}

[[nodiscard]] constexpr std::optional<KeyRole> key_role_from(std::string_view word) {
  for (const KeyRole role : kKeyRoles) {
    if (to_string(role) == word) return role;
  }
  return std::nullopt;
}

/// One line of the broker's allow-list.
struct KeyEntry {
  std::string name;  ///< for people, and of its file: a valid name (ids.hpp)
  KeyRole role = KeyRole::observer;
  std::string node;        ///< agents: the machine; a valid name
  std::string boot_id;     ///< agents: the only boot of it that counts; empty: any
  std::string public_key;  ///< 40 characters of Z85
  auto operator<=>(const KeyEntry&) const = default;
};

}  // namespace lockstep
