#include "cli/kubernetes/names.hpp"

#include <algorithm>

namespace lockstep::cli {
namespace {

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// A label of whatever length: in a subdomain only the whole is bounded.
bool is_label(std::string_view name) {
  if (name.empty() || !is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) return false;
  return std::ranges::all_of(name, [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_unreserved(char c) {
  return is_letter_or_digit(c) || (c >= 'A' && c <= 'Z') || std::string_view("-._~").find(c) != std::string_view::npos;
}

}  // namespace

bool is_dns_label(std::string_view name) { return name.size() <= 63 && is_label(name); }

bool is_dns_subdomain(std::string_view name) {
  if (name.size() > 253) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4U];
    encoded += kDigits[byte & 15U];
  }
  // Two dots alone would be taken for the folder above.
  if (encoded == ".") return "%2E";
  return encoded == ".." ? "%2E%2E" : encoded;
}

}  // namespace lockstep::cli
