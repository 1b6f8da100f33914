/// groups.yaml: the standing groups (core/standing_groups.hpp), and their file, which may change while the broker runs.
/// lockstep-groups(5) describes it for users.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/core/standing_groups.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

/// Reads and checks a file of at most 1 MiB. `silence`: the broker's, which leases have to outlast. Errors name file,
/// line and field.
[[nodiscard]] Result<std::vector<StandingGroup>> load_standing_groups(const std::string& path, milliseconds silence);
/// The same from memory; `name` is for messages.
[[nodiscard]] Result<std::vector<StandingGroup>> parse_standing_groups(const std::string& yaml, const std::string& name,
                                                                       milliseconds silence);

/// The file of a broker that runs. The caller's thread.
class GroupsFile {
 public:
  /// Reads it, and watches its folder: editors and ConfigMaps put a new file in an old one's place.
  [[nodiscard]] static Result<GroupsFile> open(std::string path, milliseconds silence);

  /// Readable when the folder has changed.
  [[nodiscard]] int changes() const { return watch_.get(); }
  /// When to look though nothing has been readable: where a link leads to may have changed elsewhere.
  [[nodiscard]] TimePoint next_look() const { return next_look_; }

  /// Reads the file again. The groups, where it says something new; an error, once, where it can't be read or is wrong:
  /// then what it said before goes on to hold. Nothing where there is no news.
  [[nodiscard]] std::optional<Result<std::vector<StandingGroup>>> look();

 private:
  GroupsFile(std::string path, milliseconds silence) : path_(std::move(path)), silence_(silence) {}

  std::string path_;
  milliseconds silence_;
  Fd watch_;
  TimePoint next_look_;
  std::string last_read_;  ///< the file as it was then: its place, size and times
  std::string last_complaint_;
};

}  // namespace lockstep::broker
