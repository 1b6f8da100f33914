/// What the user sees while a round runs, on stderr: on a terminal one line for each member, kept up to date in place;
/// elsewhere a plain line for each change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

/// What a member is doing, in one or two words: "dumping", "waits for commit".
[[nodiscard]] std::string_view phase_word(Operation operation, bool leave_running, const MemberStatus& member);

class Display {
 public:
  enum class Mode { quiet, plain, live };

  /// Live on a terminal that can move its cursor and has room for all members, else plain.
  [[nodiscard]] static Mode mode_for(int fd, bool quiet, std::size_t members);

  Display(Mode mode, int fd) : mode_(mode), fd_(fd) {}

  /// Shows the newest state. Cheap when nothing has changed.
  void update(const RoundStatus& status, milliseconds elapsed);
  /// A line that stays, such as a warning.
  void note(const std::string& text);
  [[nodiscard]] bool is_live() const { return mode_ == Mode::live; }

 private:
  void show_plain(const RoundStatus& status, milliseconds elapsed);
  void show_live(const RoundStatus& status, milliseconds elapsed);
  void write(const std::string& text) const;

  Mode mode_;
  int fd_;
  std::size_t drawn_ = 0;                ///< lines of the live picture that stand on the terminal
  std::string picture_;                  ///< those lines, to draw again below a note
  std::vector<std::string_view> words_;  ///< plain: what was last said about each member
};

}  // namespace lockstep::cli
