/// Which refusals get a line in the broker's log. They come as fast as peers can send, and who is turned away tries
/// again: the log must stay one that somebody reads, and fit on its disk. Pure; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "broker/core/outbox.hpp"
#include "common/clock.hpp"

namespace lockstep::broker {

class RefusalLog {
 public:
  /// Lines within kPeriod; what goes beyond is counted, and how many those were said before the next line.
  static constexpr std::size_t kLines = 20;
  static constexpr seconds kPeriod{10};
  /// So long the same line is not logged again.
  static constexpr seconds kTellAgain{60};

  void tell(std::string line, TimePoint now, Outbox& out);

 private:
  std::map<std::string, TimePoint> told_;  ///< the lines of the last kTellAgain, and when
  TimePoint period_end_;
  std::size_t lines_ = 0;     ///< of this period
  std::uint64_t untold_ = 0;  ///< counted
};

}  // namespace lockstep::broker
