/// What a lock tells of itself to whoever finds it: who made it, for which round, since when. It stands in the pod's
/// rule set as a comment, so that `nft list ruleset` and `iptables-save` show it too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep {

/// The process that made a lock. A pid alone says little: it may have been given out again, or be one of a container's.
struct LockOwner {
  std::string agent;                ///< its name; empty: nobody has noted one
  std::int32_t pid = 0;             ///< as it sees itself
  std::uint64_t start = 0;          ///< field 22 of /proc/PID/stat: clock ticks since boot
  std::uint64_t pid_namespace = 0;  ///< inode of /proc/PID/ns/pid
  bool operator==(const LockOwner&) const = default;
};

struct LockNote {
  LockOwner owner;
  std::string round;               ///< empty: not armed, or for no round
  std::int64_t armed_unix_ms = 0;  ///< 0: not armed
  bool operator==(const LockNote&) const = default;
};

/// This process, under its agent's name.
[[nodiscard]] LockOwner this_process(std::string agent);

enum class OwnerState {
  alive,
  dead,
  unknown,  ///< nothing is noted, or it lives in another pid namespace than this process
};
[[nodiscard]] OwnerState state_of(const LockOwner& owner);
[[nodiscard]] std::string_view to_string(OwnerState state);

/// nft takes no longer comments.
inline constexpr std::size_t kMaxComment = 127;
/// "agent=node7/node pid=812 start=5518 pidns=4026531836"; empty for an owner that is not known. At most kMaxComment.
[[nodiscard]] std::string owner_comment(const LockOwner& owner);
/// "round=20250101T120000-1a2b3c4d since=1735732800000"; empty when neither is known. At most kMaxComment.
[[nodiscard]] std::string round_comment(std::string_view round, std::int64_t armed_unix_ms);
/// Adds to `note` what a comment tells. Anybody may have written it: words that make no sense are passed over.
void read_comment(std::string_view comment, LockNote& note);

}  // namespace lockstep
