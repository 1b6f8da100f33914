#include "broker/core/opening_limit.hpp"

namespace lockstep::broker {

bool OpeningLimit::has_room(const std::string& who, TimePoint now) {
  for (auto& [each, times] : opened_) {
    while (!times.empty() && now - times.front() >= seconds(60)) times.pop_front();
  }
  std::erase_if(opened_, [](const auto& entry) { return entry.second.empty(); });
  const auto own = opened_.find(who);
  return own == opened_.end() ? limit_ > 0 : own->second.size() < limit_;
}

}  // namespace lockstep::broker
