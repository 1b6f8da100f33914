/// What happened, line by line, for people. Costs nothing while nobody wants it.
#pragma once

#include <string>
#include <vector>

#include "common/clock.hpp"
#include "schemas/messages.hpp"

namespace lockstep::sim {

/// "Order lock r-1 m2".
[[nodiscard]] std::string text_of(const Message& message);

class Trace {
 public:
  bool wanted = false;
  bool print = false;  ///< to stdout at once, instead of keeping it

  template <class Text>
  void line(TimePoint now, const Text& text) {
    if (wanted) add(now, text());
  }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  void add(TimePoint now, const std::string& text);
  std::vector<std::string> lines_;
};

}  // namespace lockstep::sim
