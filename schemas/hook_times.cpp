#include "schemas/hook_times.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace lockstep {
namespace {

// Not "lockstep-hook: ", with which its errors begin.
constexpr std::string_view kBegin = "(lockstep-hook) ";
constexpr std::string_view kForked = ": forked at ";
constexpr std::string_view kSaid = " us, said after ";
constexpr std::string_view kHeard = " us, heard after ";
constexpr std::string_view kEnded = " us, ended after ";
constexpr std::string_view kEnd = " us";

/// No machine is up for longer: 100 years.
constexpr std::int64_t kMost = std::int64_t{100} * 366 * 24 * 3600 * 1'000'000;

/// Takes `expected` from the beginning of `text`, where it is there.
bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

/// Takes `label` and the number behind it.
std::optional<microseconds> take_time(std::string_view& text, std::string_view label) {
  if (!take(text, label)) return std::nullopt;
  std::int64_t number = 0;
  const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0 || number > kMost) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(next - text.data()));
  return microseconds(number);
}

}  // namespace

std::string to_log_line(const HookTimes& times) {
  std::string line(kBegin);
  line += to_string(times.action);
  for (const auto& [label, time] : {std::pair{kForked, times.forked}, std::pair{kSaid, times.said},
                                    std::pair{kHeard, times.heard}, std::pair{kEnded, times.ended}}) {
    line.append(label).append(std::to_string(time.count()));
  }
  return line.append(kEnd).append("\n");
}

std::optional<HookTimes> parse_log_line(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (!take(line, kBegin)) return std::nullopt;
  const std::size_t colon = std::min(line.find(':'), line.size());
  const auto action = hook_action_from(line.substr(0, colon));
  line.remove_prefix(colon);
  const auto forked = take_time(line, kForked);
  const auto said = take_time(line, kSaid);
  const auto heard = take_time(line, kHeard);
  const auto ended = take_time(line, kEnded);
  if (!action || !forked || !said || !heard || !ended || line != kEnd) return std::nullopt;
  if (*heard < *said || *ended < *heard) return std::nullopt;
  return HookTimes{*action, *forked, *said, *heard, *ended};
}

}  // namespace lockstep
