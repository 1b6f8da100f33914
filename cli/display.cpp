#include "cli/display.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace lockstep::cli {
namespace {

/// The words after a phase's arrival, its readiness and its release.
struct PhaseWords {
  std::string_view arrived;
  std::string_view ready;
  std::string_view released;
};
constexpr std::array<PhaseWords, kPhasesPerRound> kDumpWords{{{"preparing", "prepared, waits", "freezing"},
                                                              {"frozen, locking", "locked, waits", "dumping"},
                                                              {"dumped, voting", "voted, waits", "committed"},
                                                              {"unlocking", "unlocked, waits", "running"}}};
constexpr std::array<PhaseWords, kPhasesPerRound> kRestoreWords{{{"preparing", "prepared, waits", "forking"},
                                                                 {"in its pod, locking", "locked, waits", "restoring"},
                                                                 {"restored, voting", "voted, waits", "committed"},
                                                                 {"unlocking", "unlocked, waits", "running"}}};

std::string in_seconds(milliseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%7.3f s", static_cast<double>(time.count()) / 1000.0);
  return text.data();
}

std::size_t longest_id(const RoundStatus& status) {
  std::size_t longest = 0;
  for (const auto& member : status.members) longest = std::max(longest, member.id.value.size());
  return longest;
}

}  // namespace

std::string_view phase_word(Operation operation, bool leave_running, const MemberStatus& member) {
  if (member.criu == CriuOutcome::failed) return "failed";
  const bool runs_on = leave_running || operation == Operation::restore;
  if (member.criu == CriuOutcome::succeeded) return runs_on ? "done, running" : "done";
  const auto& words = operation == Operation::dump ? kDumpWords : kRestoreWords;
  for (std::size_t i = kPhasesPerRound; i-- > 0;) {
    const PhaseTimes& times = member.phases[i];
    if (times.released_us >= 0 && times.arrived_us >= 0) return words[i].released;
    if (times.ready_us >= 0) return words[i].ready;
    if (times.arrived_us >= 0) return words[i].arrived;
  }
  return "starting";
}

Display::Mode Display::mode_for(int fd, bool quiet, std::size_t members) {
  if (quiet) return Mode::quiet;
  const char* term = std::getenv("TERM");
  if (::isatty(fd) == 0 || term == nullptr || std::string_view(term) == "dumb") return Mode::plain;
  winsize size{};
  const bool known = ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  return known && members + 1 < size.ws_row ? Mode::live : Mode::plain;
}

void Display::update(const RoundStatus& status, milliseconds elapsed) {
  if (mode_ == Mode::plain) show_plain(status, elapsed);
  if (mode_ == Mode::live) show_live(status, elapsed);
}

void Display::note(const std::string& text) {
  if (mode_ == Mode::quiet) return;
  if (drawn_ == 0) return write(text + "\n");
  // Over the picture's first line, then the picture again.
  write("\033[" + std::to_string(drawn_) + "A\033[J" + text + "\n" + picture_);
}

void Display::show_plain(const RoundStatus& status, milliseconds elapsed) {
  words_.resize(status.members.size());
  const std::size_t width = longest_id(status);
  std::string text;
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    const auto word = phase_word(status.operation, status.leave_running, status.members[i]);
    if (word == words_[i]) continue;
    words_[i] = word;
    std::string id = status.members[i].id.value;
    id.resize(width, ' ');
    text += in_seconds(elapsed) + "  " + id + "  " + std::string(word) + "\n";
  }
  if (!text.empty()) write(text);
}

void Display::show_live(const RoundStatus& status, milliseconds elapsed) {
  const std::size_t width = longest_id(status);
  std::string text;
  for (const auto& member : status.members) {
    std::string id = member.id.value;
    id.resize(width, ' ');
    const auto word = phase_word(status.operation, status.leave_running, member);
    text += "\033[2K" + id + "  " + in_seconds(elapsed) + "  " + std::string(word) + "\n";
  }
  if (text == picture_) return;
  picture_ = text;
  const std::string up = drawn_ > 0 ? "\033[" + std::to_string(drawn_) + "A" : "";
  drawn_ = status.members.size();
  write(up + text);
}

void Display::write(const std::string& text) const {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t put = ::write(fd_, rest.data(), rest.size());
    if (put <= 0) return;  // nobody looks: no reason to disturb a round
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace lockstep::cli
