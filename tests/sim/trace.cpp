#include "tests/sim/trace.hpp"

#include <cstdio>

#include "tests/sim/world.hpp"

namespace lockstep::sim {
namespace {

std::string detail(const HookEvent& event) {
  return " " + std::string(to_string(event.action)) + (event.in_doubt ? " in doubt" : "");
}
std::string detail(const HookGone& gone) { return " " + std::string(to_string(gone.action)); }
std::string detail(const Order& order) { return " " + std::string(to_string(order.phase)); }
std::string detail(const Ready& ready) {
  return " " + std::string(to_string(ready.phase)) + (ready.ok ? "" : " no: " + ready.reason);
}
std::string detail(const Release& release) {
  return " " + std::string(to_string(release.phase)) + " " + std::string(to_string(release.verdict)) +
         (release.over ? " over" : "") + (release.early ? " early" : "") +
         (release.reason.empty() ? "" : " (" + release.reason + ")");
}
std::string detail(const Answer& answer) {
  return " " + std::string(to_string(answer.verdict)) + (answer.reason.empty() ? "" : " (" + answer.reason + ")");
}
std::string detail(const Stored& stored) { return stored.ok ? "" : " no"; }
std::string detail(const MemberResult& result) { return result.ok ? " ok" : " failed"; }
std::string detail(const Refused& refused) { return " (" + refused.reason + ")"; }
std::string detail(const RoundStatus& status) { return " " + std::string(to_string(status.state)); }
template <class Other>
std::string detail(const Other&) {
  return {};
}

}  // namespace

std::string text_of(const Message& message) {
  std::string text(type_name(message.body));
  text += std::visit([](const auto& body) { return detail(body); }, message.body);
  if (!message.round.empty()) text += " " + message.round.value;
  if (!message.member.empty()) text += " " + message.member.value;
  return text;
}

void Trace::add(TimePoint now, const std::string& text) {
  const auto since = std::chrono::duration_cast<microseconds>(now - kBegin).count();
  char time[32];
  std::snprintf(time, sizeof time, "%11.3f ms  ", static_cast<double>(since) / 1000.0);
  if (print) std::printf("%s%s\n", time, text.c_str());
  lines_.push_back(time + text);
}

}  // namespace lockstep::sim
