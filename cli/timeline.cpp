#include "cli/timeline.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "cli/text_table.hpp"

namespace lockstep::cli {
namespace {

/// What a stretch of a bar stands for, in the order of time.
enum Stretch : std::size_t { kPrepare, kLock, kWork, kVote, kFinish, kStretches };

constexpr std::array<std::string_view, kStretches> kUtf8{"─", "░", "▒", "▓", "═"};
constexpr std::array<std::string_view, kStretches> kAscii{"-", "+", "#", "@", "="};
constexpr std::array<std::string_view, kStretches> kDumpLegend{"prepare", "frozen, locking", "dumping",
                                                               "waits for the others", "until unlocked"};
constexpr std::array<std::string_view, kStretches> kRestoreLegend{"prepare", "locking", "restoring",
                                                                  "waits for the others", "until unlocked"};

/// The times at which a member's stretches begin, and at the end the one at which the last stretch ends. A time that
/// has not come is that of the one before: its stretch is empty.
std::array<std::int64_t, kStretches + 1> borders_of(const MemberStatus& member) {
  const auto& phases = member.phases;
  const std::int64_t end = std::max({member.unlocked_us, phases[3].ready_us, phases[3].released_us});
  std::array<std::int64_t, kStretches + 1> borders{phases[0].arrived_us, phases[1].arrived_us,  phases[1].released_us,
                                                   phases[2].arrived_us, phases[2].released_us, end};
  for (std::size_t i = 1; i < borders.size(); ++i) borders[i] = std::max(borders[i], borders[i - 1]);
  return borders;
}

/// The time that the picture shows.
struct Window {
  std::int64_t begin = -1;
  std::int64_t end = -1;
};

Window window_of(const RoundStatus& status) {
  Window window;
  for (const auto& member : status.members) {
    const auto borders = borders_of(member);
    if (borders.front() < 0) continue;
    window.begin = window.begin < 0 ? borders.front() : std::min(window.begin, borders.front());
    window.end = std::max(window.end, borders.back());
  }
  return window;
}

std::string draw_bar(const std::array<std::int64_t, kStretches + 1>& borders, const Window& window, std::size_t width,
                     const std::array<std::string_view, kStretches>& letters) {
  std::string bar;
  for (std::size_t column = 0; column < width; ++column) {
    // What happens at the middle of the column's time.
    const auto middle = (window.end - window.begin) * static_cast<std::int64_t>(2 * column + 1);
    const std::int64_t time = window.begin + middle / static_cast<std::int64_t>(2 * width);
    const auto next = std::upper_bound(borders.begin(), borders.end(), time);
    const bool outside = borders.front() < 0 || next == borders.begin() || next == borders.end();
    bar += outside ? " " : letters[static_cast<std::size_t>(next - borders.begin()) - 1];
  }
  bar.erase(bar.find_last_not_of(' ') + 1);
  return bar;
}

}  // namespace

std::string draw_timeline(const RoundStatus& status, const TimelineStyle& style) {
  const std::size_t width = std::max<std::size_t>(style.width, 24);
  const auto& letters = style.utf8 ? kUtf8 : kAscii;
  std::size_t name_width = 0;
  for (const auto& member : status.members) name_width = std::max(name_width, display_width(member.id.value));
  const Window window = window_of(status);
  if (window.end <= window.begin) return {};
  std::string text;
  for (const auto& member : status.members) {
    std::string name = member.id.value;
    name.resize(name_width, ' ');
    std::string line = name + "  " + draw_bar(borders_of(member), window, width, letters);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  const std::string indent(name_width + 2, ' ');
  const std::string begin = in_ms(window.begin) + " ms";
  const std::string end = in_ms(window.end) + " ms";
  text += indent + begin + std::string(width - std::min(width, begin.size() + end.size()), ' ') + end + "\n" + indent;
  const auto& legend = status.operation == Operation::dump ? kDumpLegend : kRestoreLegend;
  for (std::size_t i = 0; i < kStretches; ++i) {
    text += std::string(i == 0 ? "" : "  ").append(letters[i]).append(" ").append(legend[i]);
  }
  return text + "\n";
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale(value);  // the first that is set decides
    std::transform(locale.begin(), locale.end(), locale.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace lockstep::cli
