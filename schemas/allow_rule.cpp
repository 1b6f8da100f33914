#include "schemas/allow_rule.hpp"

#include <charconv>
#include <optional>

#include "schemas/endpoint_text.hpp"

namespace lockstep {
namespace {

constexpr const char* kExamples = "write 10.0.0.0/8, 10.1.2.3:443, [fd00::]/16, [fd00::7]:8000-8100 or *:53";

Failure wrong(std::string_view text, const std::string& why) {
  return fail(ErrorCode::invalid, "allow rule '" + std::string(text) + "'", why);
}

unsigned full_length(IpFamily family) { return family == IpFamily::v4 ? 32 : 128; }

std::optional<unsigned> number(std::string_view text, unsigned largest) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > largest) return std::nullopt;
  return value;
}

/// A rule's text in three; a part that is missing is nothing, one that is there and empty is an error later.
struct Parts {
  std::string_view address;
  std::optional<std::string_view> prefix;
  std::optional<std::string_view> ports;
};

std::optional<Parts> split(std::string_view text) {
  Parts parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parts.address = text.substr(1, close - 1);
    if (parts.address.find(':') == std::string_view::npos) return std::nullopt;  // brackets are for IPv6
    rest = text.substr(close + 1);
  } else {
    // Without brackets two colons make an IPv6 address, which then has no room for a port.
    const bool bare_v6 = text.find(':') != text.rfind(':');
    const std::size_t end = text.find_first_of(bare_v6 ? "/" : "/:");
    parts.address = text.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : text.substr(end);
  }
  if (rest.starts_with('/')) {
    const std::size_t end = rest.find(':');
    parts.prefix = rest.substr(1, end == std::string_view::npos ? end : end - 1);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
  }
  if (rest.starts_with(':')) {
    parts.ports = rest.substr(1);
    rest = {};
  }
  if (!rest.empty()) return std::nullopt;
  return parts;
}

/// `address` with the bits behind the first `length` set to zero.
std::array<std::uint8_t, 16> network_of(std::array<std::uint8_t, 16> address, unsigned length) {
  for (unsigned byte = 0; byte < address.size(); ++byte) {
    const unsigned kept = length <= byte * 8 ? 0 : std::min(length - byte * 8, 8U);
    address[byte] = static_cast<std::uint8_t>(address[byte] & (0xFF00U >> kept));
  }
  return address;
}

Result<void> read_ports(std::string_view text, std::string_view ports, AllowRule& rule) {
  const std::size_t dash = ports.find('-');
  const auto first = number(ports.substr(0, dash), 65535);
  const auto last = dash == std::string_view::npos ? first : number(ports.substr(dash + 1), 65535);
  if (!first || !last || *first == 0) return wrong(text, "a port is a number from 1 to 65535, a range 8000-8100");
  if (*first > *last) return wrong(text, "the range of ports begins behind its end");
  rule.first_port = static_cast<std::uint16_t>(*first);
  rule.last_port = static_cast<std::uint16_t>(*last);
  return {};
}

Result<void> read_network(std::string_view text, const Parts& parts, AllowRule& rule) {
  if (parts.address == "*") {
    rule.any_address = true;
    if (parts.prefix) return wrong(text, "'*' stands for every address and takes no prefix");
    return {};
  }
  const auto address = parse_address(parts.address);
  if (!address) return wrong(text, std::string("'") + std::string(parts.address) + "' is no IP address; " + kExamples);
  if (address->family == IpFamily::v4 && parts.address.find(':') != std::string_view::npos) {
    return wrong(text, "write a v4-mapped address as IPv4: " + address_text(address->family, address->address));
  }
  rule.family = address->family;
  const unsigned full = full_length(rule.family);
  const auto length = parts.prefix ? number(*parts.prefix, full) : full;
  if (!length) return wrong(text, "the prefix is a number from 0 to " + std::to_string(full));
  rule.prefix_length = static_cast<std::uint8_t>(*length);
  rule.address = network_of(address->address, *length);
  // Somebody who writes 10.1.2.3/8 may have meant 10.1.2.3: not guessed, because the guess would let connections live.
  if (rule.address != address->address) {
    return wrong(text, "the address has bits behind the prefix: write " + allow_rule_text(rule) + " or one address");
  }
  return {};
}

}  // namespace

Result<AllowRule> parse_allow_rule(std::string_view text) {
  const auto parts = split(text);
  if (!parts || text.empty()) return wrong(text, kExamples);
  AllowRule rule;
  if (auto read = read_network(text, *parts, rule); !read) return Failure(read.error());
  if (parts->ports) {
    if (auto read = read_ports(text, *parts->ports, rule); !read) return Failure(read.error());
  }
  return rule;
}

std::string allow_rule_text(const AllowRule& rule) {
  std::string text = "*";
  if (!rule.any_address) {
    text = address_text(rule.family, rule.address);
    if (rule.family == IpFamily::v6) text = "[" + text + "]";
    if (rule.prefix_length != full_length(rule.family)) text += "/" + std::to_string(rule.prefix_length);
  }
  if (rule.first_port == 0 && rule.last_port == 65535) return text;
  text += ":" + std::to_string(rule.first_port);
  if (rule.last_port != rule.first_port) text += "-" + std::to_string(rule.last_port);
  return text;
}

bool matches(const AllowRule& rule, const Endpoint& remote) {
  if (remote.port < rule.first_port || remote.port > rule.last_port) return false;
  if (rule.any_address) return true;
  return rule.family == remote.family && rule.prefix_length <= full_length(rule.family) &&
         network_of(remote.address, rule.prefix_length) == rule.address;
}

}  // namespace lockstep
