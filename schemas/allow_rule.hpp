/// One entry of `external_allow`: the far ends whose external connections are kept.
///
///   10.0.0.0/8          every port of a network        [fd00::]/16         the same for IPv6 (fd00::/16 does too)
///   10.1.2.3:443        one port of one address        [fd00::7]:443
///   10.0.0.0/8:443      one port of a network          10.0.0.0/8:8000-8100  a range of ports
///   *:53                one port of every address      *                     everything
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

struct AllowRule {
  bool any_address = false;  ///< both families; family, address and prefix_length say nothing then
  IpFamily family = IpFamily::v4;
  std::array<std::uint8_t, 16> address{};  ///< as in Endpoint; the bits behind the prefix are zero
  std::uint8_t prefix_length = 0;          ///< of 32 or 128
  std::uint16_t first_port = 0;            ///< both ends belong to the range; 0 to 65535: all
  std::uint16_t last_port = 65535;
  auto operator<=>(const AllowRule&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.any_address, self.family, self.address, self.prefix_length, self.first_port, self.last_port);
  }
};

/// invalid, with what is wrong and how it should be written, where the text is no rule.
[[nodiscard]] Result<AllowRule> parse_allow_rule(std::string_view text);
/// The rule in its shortest form; parse_allow_rule() of it gives the same rule.
[[nodiscard]] std::string allow_rule_text(const AllowRule& rule);
/// True when `remote`, the far end of a connection, is one that the rule names. A rule with a longer prefix than its
/// family has (off the wire, not parsed) matches nothing.
[[nodiscard]] bool matches(const AllowRule& rule, const Endpoint& remote);

}  // namespace lockstep
