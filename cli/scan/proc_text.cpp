#include "cli/scan/proc_text.hpp"

#include <charconv>
#include <set>

namespace lockstep::cli {
namespace {

/// Takes the text up to `end` off the front; all of it where there is no `end`.
std::string_view take(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return front;
}

std::string_view take_word(std::string_view& text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

template <class T>
bool read_number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

/// From the text's octal escapes (\040 for a blank, \012, \134).
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() && read_number(text.substr(i + 1, 3), code, 8)) {
      plain.push_back(static_cast<char>(code));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

/// "08048000-0804c000" as map_files has it: "8048000-804c000".
std::string unpadded(std::string_view range) {
  std::string plain;
  for (const std::string_view end : {take(range, '-'), range}) {
    if (!plain.empty()) plain.push_back('-');
    plain += end.substr(std::min(end.find_first_not_of('0'), end.empty() ? 0 : end.size() - 1));
  }
  return plain;
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text) {
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open || open == 0)
    return std::nullopt;
  ProcessStat stat;
  stat.name = std::string(text.substr(open + 1, close - open - 1));
  std::string_view rest = text.substr(close + 1);
  const std::string_view state = take_word(rest);
  const std::string_view parent = take_word(rest);
  const std::string_view group = take_word(rest);
  const std::string_view session = take_word(rest);
  std::string_view front = text.substr(0, open);
  if (!read_number(take_word(front), stat.pid) || state.size() != 1) return std::nullopt;
  if (!read_number(parent, stat.parent) || !read_number(group, stat.group) || !read_number(session, stat.session)) {
    return std::nullopt;
  }
  stat.state = state.front();
  return stat;
}

std::string_view value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') continue;
    line.remove_prefix(key.size() + 1);
    const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
    return line.substr(begin);
  }
  return {};
}

std::vector<Limit> parse_limits(std::string_view text) {
  std::vector<Limit> limits;
  (void)take(text, '\n');  // the headings
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    constexpr std::size_t kNameWidth = 26;
    if (line.size() <= kNameWidth) continue;
    std::string_view name = line.substr(0, kNameWidth);
    name = name.substr(0, name.find_last_not_of(' ') + 1);
    line.remove_prefix(kNameWidth);
    Limit limit{std::string(name), 0, 0};
    const auto read = [&](std::uint64_t& value) {
      const std::string_view word = take_word(line);
      if (word == "unlimited") value = kUnlimited;
      return word == "unlimited" || read_number(word, value);
    };
    if (read(limit.soft) && read(limit.hard)) limits.push_back(std::move(limit));
  }
  return limits;
}

std::optional<ClockOffsets> parse_timens_offsets(std::string_view text) {
  constexpr std::int64_t kMaxSeconds = std::int64_t{1} << 32;  // what the kernel keeps within a count of nanoseconds
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::optional<std::chrono::nanoseconds> monotonic;
  std::optional<std::chrono::nanoseconds> boottime;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    const std::string_view clock = take_word(line);
    std::int64_t seconds = 0;
    std::int64_t rest = 0;
    if (!read_number(take_word(line), seconds) || !read_number(take_word(line), rest)) continue;
    if (seconds > kMaxSeconds || seconds < -kMaxSeconds || rest < 0 || rest >= kSecond) continue;
    if (clock == "monotonic") monotonic = std::chrono::nanoseconds(seconds * kSecond + rest);
    if (clock == "boottime") boottime = std::chrono::nanoseconds(seconds * kSecond + rest);
  }
  if (!monotonic || !boottime) return std::nullopt;
  return ClockOffsets{*monotonic, *boottime};
}

std::vector<MapLine> parse_maps(std::string_view text) {
  std::vector<MapLine> maps;
  std::set<std::string> seen;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    const std::string_view range = take_word(line);
    for (int i = 0; i < 3; ++i) (void)take_word(line);  // permissions, offset, device
    const std::string_view inode = take_word(line);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (inode == "0" || line.empty() || line.front() == '[') continue;
    std::string path = unescaped(line);
    if (seen.insert(path).second) maps.push_back({unpadded(range), std::move(path)});
  }
  return maps;
}

}  // namespace lockstep::cli
