/// What is not as it was saved once a restored tree runs: limits, file sizes, clocks. Pure.
///
/// Limits: whatever differs. A CRIU without CAP_SYS_RESOURCE can't raise a hard limit above its own: setrlimit() fails,
/// CRIU does not look, and the process is left with CRIU's limit (criu/pie/restorer.c, restore_rlims()).
///
/// Files: those that have become smaller. The tree runs when this is read, and a running application appends: a file
/// that has grown says nothing. One that is smaller has lost something that the process had seen or written; that CRIU
/// refuses a changed size itself ("has bad size") is true only of files that are not opened to append to them. A
/// descriptor that stands for another file meanwhile is the application's doing.
///
/// Clocks: CRIU gives a tree a time namespace, in which the monotonic clocks go on from what the images say. A clock
/// that is behind them has gone backwards: timers come late, and programs may break that rely on it. One that is
/// further ahead than the restore took has jumped over the time in between: timeouts are over at once. Where the images
/// have no clocks the machine's uptime is all there is to compare: only a step backwards can be told.
#pragma once

#include <string>
#include <vector>

#include "cli/images/process_images.hpp"
#include "cli/restored/live_tree.hpp"
#include "common/clock.hpp"

namespace lockstep::cli {

struct RestoreDifference {
  enum class Kind : std::uint8_t { limit, file, clock };
  Kind kind = Kind::limit;
  pid_t pid = 0;
  std::string process;
  std::string what;   ///< "open files", a file's name, "CLOCK_MONOTONIC"
  std::string saved;  ///< with the unit
  std::string found;
  std::string remedy;

  /// "process 12 (redis-server): open files 1024, was 524288: raise …".
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] std::string_view to_string(RestoreDifference::Kind kind);

/// `since`: at least as long as the tree may have been running again.
[[nodiscard]] std::vector<RestoreDifference> compare_restored(const images::ProcessImages& saved, const LiveTree& live,
                                                              milliseconds since);

}  // namespace lockstep::cli
