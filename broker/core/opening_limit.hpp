/// How often hooks may open rounds: each is written to the journal, and synced, before anybody knows whether there is
/// more behind it than a word. Pure; one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>

#include "common/clock.hpp"

namespace lockstep::broker {

class OpeningLimit {
 public:
  explicit OpeningLimit(std::size_t in_a_minute) : limit_(in_a_minute) {}
  /// `who` (an identity's id) has not opened as many within the last minute.
  [[nodiscard]] bool has_room(const std::string& who, TimePoint now);
  /// It opens one, or tries to: a journal that fails has been written to as well.
  void count(const std::string& who, TimePoint now) { opened_[who].push_back(now); }
  [[nodiscard]] std::size_t limit() const { return limit_; }

 private:
  std::size_t limit_;
  std::map<std::string, std::deque<TimePoint>> opened_;  ///< when; oldest first
};

}  // namespace lockstep::broker
