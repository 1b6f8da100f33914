/// What the hook is to do, from its environment and from the texts of small files. Pure: opens nothing, asks nobody.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook {

/// Where configuration is read that is not in the environment: lines `socket_dir: …`, `broker: …`, `key: …`.
inline constexpr const char* kConfigFile = "/etc/lockstep/hook.conf";
inline constexpr const char* kDefaultSocketDir = "/run/lockstep";

/// A process's environment: "NAME=value" strings, ended by a null pointer. Borrowed, never copied.
class Environment {
 public:
  explicit Environment(const char* const* entries) : entries_(entries) {}
  /// Nothing when the variable is not set; it may be set and empty.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;

 private:
  const char* const* entries_;
};

/// Whose images these are, as far as anybody has said: what is empty the agent or the broker finds out.
struct MemberNames {
  RoundId round;
  GroupId group;
  MemberId member;
};

struct Settings {
  std::string socket_dir = kDefaultSocketDir;
  std::string broker;             ///< address to hand over to where there is no agent; may be empty
  std::string key;                ///< its file, for a broker on the network; empty: an agent's own default
  milliseconds silence{5'000};    ///< the longest wait for a word from the agent
  milliseconds limit{3'600'000};  ///< the longest wait for the verdict
};

/// What CRIU wants from the hook, and what the hook has been told about its place.
struct Job {
  HookAction action = HookAction::pre_dump;
  std::string images_dir;
  pid_t root_pid = 0;          ///< 0: CRIU did not tell
  std::uint64_t told_pod = 0;  ///< namespace inode for actions without a root task; 0: not told
};

/// The job in CRTOOLS_* and LOCKSTEP_POD. `action` is what CRTOOLS_SCRIPT_ACTION was found to say.
[[nodiscard]] Result<Job> job_from(const Environment& environment, HookAction action);

/// LOCKSTEP_ROUND, _GROUP and _MEMBER; each that is not set comes from the text of the images folder's member file.
[[nodiscard]] Result<MemberNames> member_from(const Environment& environment, std::string_view member_file);

/// LOCKSTEP_SOCKET_DIR, LOCKSTEP_BROKER, LOCKSTEP_AGENT_KEY, LOCKSTEP_HOOK_SILENCE_MS, LOCKSTEP_HOOK_LIMIT_MS; the first three, when not
/// set, from the text of kConfigFile. A variable that is set and empty means "none" or the default.
[[nodiscard]] Result<Settings> settings_from(const Environment& environment, std::string_view config_file);

}  // namespace lockstep::hook
