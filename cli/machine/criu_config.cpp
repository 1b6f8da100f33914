#include "cli/machine/criu_config.hpp"

#include <algorithm>

namespace lockstep::cli {
namespace {

constexpr std::string_view kBegin = "# begin lockstep: written by `lockstep setup`, removed by `lockstep setup --undo`";
constexpr std::string_view kBeginMark = "# begin lockstep";
constexpr std::string_view kEndMark = "# end lockstep";
constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// The lines, each with its newline, if it has one.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

std::string_view content_of(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return trimmed(line);
}

std::string_view unquoted(std::string_view value) {
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
    return value.substr(1, value.size() - 2);
  }
  return trimmed(value.substr(0, value.find('#')));
}

}  // namespace

CriuConfig read_criu_config(std::string_view text) {
  CriuConfig config;
  for (const std::string_view line : lines_of(text)) {
    std::string_view content = content_of(line);
    if (content.empty() || content.front() == '#') continue;
    const std::size_t end = std::min(content.find_first_of(" \t="), content.size());
    const std::string_view option = content.substr(0, end);
    const std::string_view rest = end < content.size() ? content.substr(end + 1) : std::string_view();
    const std::string value(unquoted(trimmed(rest)));
    if (option == "action-script") config.action_scripts.push_back(value);
    if (option == "network-lock") config.network_lock = value;
    if (option == "tcp-close") config.tcp_close = true;
  }
  return config;
}

std::vector<std::string> hooks_in(const CriuConfig& config) {
  std::vector<std::string> hooks;
  for (const std::string& script : config.action_scripts) {
    if (script.substr(script.rfind('/') + 1) == "lockstep-hook") hooks.push_back(script);
  }
  return hooks;
}

std::string with_block(std::string_view text, std::string_view hook) {
  std::string result = without_block(text);
  if (!result.empty() && result.back() != '\n') result += '\n';
  result += std::string(kBegin) + "\naction-script " + std::string(hook) + "\nnetwork-lock skip\n" +
            std::string(kEndMark) + "\n";
  return result;
}

std::string without_block(std::string_view text) {
  if (!has_block(text)) return std::string(text);
  std::string result;
  bool inside = false;
  for (const std::string_view line : lines_of(text)) {
    const std::string_view content = content_of(line);
    if (content.starts_with(kBeginMark)) inside = true;
    if (!inside) result += line;
    if (content.starts_with(kEndMark)) inside = false;
  }
  return result;
}

bool has_block(std::string_view text) {
  bool begun = false;
  for (const std::string_view line : lines_of(text)) {
    const std::string_view content = content_of(line);
    if (content.starts_with(kBeginMark)) begun = true;
    // A block without an end would take the rest of the file with it.
    if (begun && content.starts_with(kEndMark)) return true;
  }
  return false;
}

}  // namespace lockstep::cli
