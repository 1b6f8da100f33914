/// What a round has come to, for people; report_json.hpp says the same for programs.
#pragma once

#include <string>
#include <vector>

#include "cli/attempts/in_flight.hpp"
#include "cli/criu_stats.hpp"
#include "cli/examine/examine.hpp"
#include "cli/exit_code.hpp"
#include "cli/frozen_split.hpp"
#include "cli/restored/compare.hpp"
#include "cli/round_driver.hpp"
#include "cli/timeline.hpp"
#include "schemas/messages.hpp"

namespace lockstep::cli {

enum class RoundVerdict : std::uint8_t {
  committed,  ///< and nothing is left to do
  failed,     ///< committed, but a member did not see it through, or the images are no consistent cut
  aborted,    ///< nothing was committed
  unknown,    ///< the broker was lost; `notes` say what the images folders tell
};

struct MemberReport {
  std::string images;
  std::string log;
  pid_t pid = 0;  ///< dump: the dumped root task. Restore: the restored one, 0 when there is none
  MemberRun run;
  CriuTimes times;  ///< empty where CRIU has left none
  std::string node = {};                   ///< empty: this machine
  std::vector<std::string> archives = {};  ///< on that node
  HookLog hooks{};                         ///< how long its hooks have taken
};

/// One round of a command that may take several (attempts/attempts.hpp).
struct Attempt {
  RoundId round;
  bool skip_in_flight = false;      ///< CRIU was told to pass over un-accepted connections
  std::string verdict;              ///< as of RoundVerdict
  std::string reason;               ///< why it was aborted
  std::vector<InFlight> in_flight;  ///< not empty: the only reason, so that another round was worth trying
  milliseconds duration{};
  milliseconds pause{};  ///< until the next one
};

struct Report {
  RoundId round;
  GroupId group;
  RoundOutcome outcome;  ///< its status lists the members, in the same order as `members`
  std::vector<MemberReport> members;
  std::vector<std::string> notes;  ///< what the user should know besides
  std::string proof;               ///< of a committed dump: what its images prove, in one line; else empty
  bool proven = true;              ///< false: they prove the contrary
  struct MemberFinding {
    MemberId member;
    Finding finding;
  };
  std::vector<MemberFinding> findings = {};  ///< of a dump: what was seen in its trees before anything was frozen
  struct MemberDifference {
    MemberId member;
    RestoreDifference difference;
  };
  std::vector<MemberDifference> after_restore = {};  ///< what of the running trees is not as it was saved
  std::vector<Attempt> attempts = {};                ///< all rounds of this command, the last one's is the report
  milliseconds sync{};  ///< dump: how long it took to get the images to the disk, when nobody was frozen
};

[[nodiscard]] RoundVerdict verdict_of(const RoundOutcome& outcome);
/// The same, with what was found out after the round.
[[nodiscard]] RoundVerdict verdict_of(const Report& report);
[[nodiscard]] ExitCode exit_code_of(RoundVerdict verdict);
[[nodiscard]] std::string_view to_string(RoundVerdict verdict);

/// Where the time has gone in which its members stood still.
[[nodiscard]] std::vector<FrozenSplit> split_frozen(const Report& report);

/// The table, the timeline, where the frozen time went, each failed member's words, the notes, and the verdict as the last line.
[[nodiscard]] std::string report_text(const Report& report, const TimelineStyle& style);
/// The last line alone.
[[nodiscard]] std::string verdict_line(const Report& report);

}  // namespace lockstep::cli
