#include "broker/core/refusal_log.hpp"

#include <utility>

namespace lockstep::broker {

void RefusalLog::tell(std::string line, TimePoint now, Outbox& out) {
  if (now >= period_end_) {
    period_end_ = now + kPeriod;
    lines_ = 0;
    std::erase_if(told_, [now](const auto& entry) { return now - entry.second >= kTellAgain; });
  }
  if (lines_ >= kLines || told_.contains(line)) {
    ++untold_;
    return;
  }
  if (const auto untold = std::exchange(untold_, 0); untold > 0) {
    out.log(LogLevel::warning, std::to_string(untold) + " more refusals without a line for each");
  }
  ++lines_;
  told_.emplace(line, now);
  out.log(LogLevel::warning, std::move(line));
}

}  // namespace lockstep::broker
