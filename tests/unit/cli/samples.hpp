/// Rounds as tests need them.
#pragma once

#include "schemas/messages.hpp"

namespace lockstep::cli {

/// A dump of two members, complete: "server" arrived first, "client" was the last to be dumped.
inline RoundStatus sample_dump() {
  const auto member = [](const char* id, std::int64_t shift) {
    MemberStatus status;
    status.id = MemberId(id);
    status.pod = PodId{"boot", 42};
    status.agent = "agent";
    status.phases = {{{100'000 + shift, 101'000 + shift, 120'000},
                      {125'000 + shift, 126'000 + shift, 140'000},
                      {180'000 + shift, 181'000 + shift, 200'000},
                      {205'000, 206'000, 210'000}}};
    status.unlocked_us = 206'000;
    status.sockets = 12;
    status.criu = CriuOutcome::succeeded;
    return status;
  };
  RoundStatus status;
  status.state = RoundState::complete;
  status.phase = Phase::unlock;
  status.opened_unix_ms = 1'700'000'000'000;
  status.members = {member("server", 0), member("client", 10'000)};
  return status;
}

/// A member in which nothing has happened.
inline MemberStatus fresh_member(const char* id) {
  MemberStatus status;
  status.id = MemberId(id);
  return status;
}

}  // namespace lockstep::cli
