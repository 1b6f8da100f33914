/// Messages and log lines as text that a test can compare.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::test {

/// Its type, what tells messages of that type apart, and the member that it is about: "Order lock m1",
/// "Release commit go", "Ready prepare no m2".
[[nodiscard]] std::string text_of(const Message& message);

/// What a core has logged, one line each. `Line` is the core's own type of log line.
template <class Line, class Action>
[[nodiscard]] std::string log_of(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (const auto* line = std::get_if<Line>(&action)) text += line->text + "\n";
  }
  return text;
}

}  // namespace lockstep::test
