/// Dumps that fail because a connection waits to be accepted. CRIU can't save those: it gives up at the first listener
/// that has one in its queue (criu/sk-inet.c, can_dump_inet_sk()). A moment later the application has mostly accepted
/// it, so that such a dump is worth another try, as no other failed one is. Pure, but for find_listeners().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/member_driver.hpp"
#include "cli/round_driver.hpp"
#include "common/ids.hpp"

namespace lockstep::cli {

/// What a CRIU's log tells of the end of its dump.
struct DumpFailure {
  enum class Why : std::uint8_t {
    in_flight,  ///< an un-accepted connection
    followed,   ///< its hook said no: the round was over, because of another member or of somebody's word
    other,      ///< anything else, also a log that tells nothing
  } why = Why::other;
  bool tcp = false;         ///< in_flight: one that --skip-in-flight would pass over
  std::uint64_t inode = 0;  ///< in_flight: the socket that CRIU names
};
[[nodiscard]] DumpFailure dump_failure(std::string_view log);

/// Un-accepted connections of one member.
struct InFlight {
  MemberId member;
  bool tcp = false;
  std::uint64_t inode = 0;
  // Of the listener, as it was found when the round was over; empty where it had gone.
  std::string listener;  ///< "10.0.0.1:80"
  pid_t pid = 0;
  std::string process;
  int fd = -1;

  /// "un-accepted connections at its listener 10.0.0.1:80 (process 12 (nginx), descriptor 6)".
  [[nodiscard]] std::string text() const;
};

/// The members whose un-accepted connections are the only reason why a dump was aborted: others failed just because
/// they had to. Empty where there was any other reason. `failures`: one for each of the round's members.
[[nodiscard]] std::vector<InFlight> only_in_flight(const RoundOutcome& outcome,
                                                   const std::vector<DumpFailure>& failures);

/// Reads the logs of a round that was aborted; for the others all is `other`.
[[nodiscard]] std::vector<DumpFailure> read_failures(const RoundPlan& plan, const RoundOutcome& outcome);

/// Looks the listeners up in the live trees.
void find_listeners(const std::vector<ReadyMember>& members, std::vector<InFlight>& found);

}  // namespace lockstep::cli
