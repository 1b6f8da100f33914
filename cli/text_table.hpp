/// Columns for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

/// The number of columns that a UTF-8 text takes: its code points. (None of our texts has wide or combining ones.)
[[nodiscard]] std::size_t display_width(std::string_view utf8);

/// Rows of cells, padded to columns two blanks apart. Cells that are numbers, or "-", stand to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { add(std::move(header)); }
  /// A row with fewer cells than the header is filled up; more are an error of the caller, and cut off.
  void add(std::vector<std::string> row);
  /// Lines, each with its newline and without blanks at its end.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Microseconds as milliseconds, "12.3"; "-" for a time that has not come (-1).
[[nodiscard]] std::string in_ms(std::int64_t microseconds);

/// A text from elsewhere made safe for a terminal: control characters become '?', and more than `limit` bytes "…".
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 4096);

}  // namespace lockstep::cli
