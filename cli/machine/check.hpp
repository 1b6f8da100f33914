/// What `lockstep doctor` finds out, one thing at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

enum class Health : std::uint8_t {
  ok,
  warn,  ///< a round works; something is worse than it could be, or is missing that not everybody needs
  fail,  ///< a round would not work
};

struct Check {
  std::string name;
  Health health = Health::ok;
  std::string found;
  std::string remedy;  ///< empty where nothing has to be done
};

[[nodiscard]] std::string_view to_string(Health health);
/// No check has failed.
[[nodiscard]] bool is_healthy(const std::vector<Check>& checks);

// --- verdicts that need no machine, only what was found on it -------------------------------------------------------

/// `text` is that of the runtime's configuration file; `path` its name.
[[nodiscard]] Check judge_runtime_config(const std::string& runtime, const std::string& path, bool is_there,
                                         std::string_view text);
/// What a trial dump under that configuration has left in CRIU's log. The dump itself is refused by the hook, since no
/// round is open: that it says so is the proof that it is run.
[[nodiscard]] Check judge_hook_run(const std::string& runtime, std::string_view log);
/// `form` is "v2", "v1" or "hybrid".
[[nodiscard]] Check judge_cgroups(std::string_view form, bool has_runc, bool has_crun);

}  // namespace lockstep::cli
