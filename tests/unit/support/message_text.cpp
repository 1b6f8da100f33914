#include "tests/unit/support/message_text.hpp"

namespace lockstep::test {
namespace {

std::string words(const HookEvent& event) { return " " + std::string(to_string(event.action)); }
std::string words(const HookGone& gone) { return " " + std::string(to_string(gone.action)); }
std::string words(const Answer& answer) { return " " + std::string(to_string(answer.verdict)); }
std::string words(const Order& order) { return " " + std::string(to_string(order.phase)); }
std::string words(const Pending& pending) { return " " + std::string(to_string(pending.phase)); }
std::string words(const Ready& ready) { return " " + std::string(to_string(ready.phase)) + (ready.ok ? "" : " no"); }
std::string words(const Release& release) {
  return " " + std::string(to_string(release.phase)) + " " + std::string(to_string(release.verdict)) +
         (release.over ? " over" : "") + (release.early ? " early" : "");
}
template <class Other>
std::string words(const Other& /*other*/) {
  return {};
}

}  // namespace

std::string text_of(const Message& message) {
  const std::string member = message.member.empty() ? "" : " " + message.member.value;
  return std::string(type_name(message.body)) + std::visit([](const auto& body) { return words(body); }, message.body) +
         member;
}

}  // namespace lockstep::test
