/// What CRIU can't dump of a tree, or only with an option. Pure: facts in, findings out.
#pragma once

#include <string>
#include <vector>

#include "cli/examine/tree_facts.hpp"

namespace lockstep::cli {

enum class Severity : std::uint8_t {
  fatal,   ///< a dump would fail
  option,  ///< a dump needs an option, which `checkpoint` adds by itself
  note,    ///< a dump works; something is not as the user may expect
};
[[nodiscard]] std::string_view to_string(Severity severity);

struct Finding {
  Severity severity = Severity::note;
  pid_t pid = 0;        ///< 0: about the member, which is on another machine
  std::string process;  ///< its name
  int fd = -1;          ///< -1: not about one descriptor
  std::string what;
  std::string remedy;
  std::vector<std::string> options;  ///< for CRIU: of the dump, and where `on_restore` of the restore too
  bool on_restore = false;

  /// "process 12 (redis), descriptor 7: … ; remedy".
  [[nodiscard]] std::string text() const;
};

/// `given`: the options that the user gives to CRIU; what they allow is no finding any more. Each trouble is told once for
/// each process, the worst first.
[[nodiscard]] std::vector<Finding> examine(const TreeFacts& tree, const std::vector<std::string>& given);

/// The options of all findings, each once.
[[nodiscard]] std::vector<std::string> options_of(const std::vector<Finding>& findings, bool on_restore);
[[nodiscard]] bool any_fatal(const std::vector<Finding>& findings);

}  // namespace lockstep::cli
