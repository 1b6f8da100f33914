#include "broker/core/command_hold.hpp"

#include <algorithm>
#include <utility>

namespace lockstep::broker {

CommandHold::CommandHold(std::vector<bool> has_commands)
    : waits_for_(std::move(has_commands)),
      arrived_(waits_for_.size()),
      missing_(waits_for_.size()),
      commands_(static_cast<std::size_t>(std::ranges::count(waits_for_, true))) {
  if (commands_ == 0) state_ = State::done;
}

bool CommandHold::arrived(std::size_t place, TimePoint now) {
  if (state_ != State::gathering || arrived_[place]) return false;
  arrived_[place] = true;
  if (--missing_ > 0) return false;
  state_ = State::running;
  last_heard_ = now;
  return true;
}

void CommandHold::heard(TimePoint now) {
  if (running()) last_heard_ = now;
}

bool CommandHold::succeeded(std::size_t place, TimePoint now) {
  if (!running() || !waits_for_[place]) return false;
  heard(now);
  waits_for_[place] = false;
  if (--commands_ > 0) return false;
  state_ = State::done;
  return true;
}

std::optional<TimePoint> CommandHold::deadline() const {
  if (!running()) return std::nullopt;
  return last_heard_ + kClientSilence;
}

}  // namespace lockstep::broker
