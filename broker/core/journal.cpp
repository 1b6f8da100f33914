#include "broker/core/journal.hpp"

#include <variant>

namespace lockstep::broker {

RoundSummary summary_of(const Message& status) {
  RoundSummary summary{.id = status.round, .group = status.group, .reason = {}, .culprit = {}};
  const auto* round = std::get_if<RoundStatus>(&status.body);
  if (round == nullptr) return summary;
  summary.operation = round->operation;
  summary.state = round->state;
  summary.phase = round->phase;
  summary.members = static_cast<std::uint32_t>(round->members.size());
  summary.opened_unix_ms = round->opened_unix_ms;
  summary.reason = round->reason;
  summary.culprit = round->culprit;
  return summary;
}

}  // namespace lockstep::broker
