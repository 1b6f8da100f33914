/// Reads live process trees out of /proc, for examine(). Everything runs meanwhile: what disappears is left out. Needs
/// root. No state; any thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <vector>

#include "cli/examine/tree_facts.hpp"
#include "cli/scan/proc_text.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// Every process of the machine, or of our pid namespace.
using ProcessList = std::map<pid_t, ProcessStat>;
[[nodiscard]] ProcessList list_processes();

/// A process and all that descend from it, the root first. Zombies are left out. Pure.
[[nodiscard]] std::vector<pid_t> tree_of(const ProcessList& processes, pid_t root);

/// Processes in a session whose leader is in the tree, and in no tree of `members`. Pure.
[[nodiscard]] std::vector<Outsider> outsiders_of(const ProcessList& processes, const std::vector<pid_t>& tree,
                                                 const std::set<pid_t>& members);

/// `members`: the processes of all trees of the group. not_found when the root is gone.
[[nodiscard]] Result<TreeFacts> scan_tree(const ProcessList& processes, pid_t root, const std::set<pid_t>& members);

/// The limits of one process; empty when it is gone.
[[nodiscard]] std::vector<Limit> read_limits(pid_t pid);

}  // namespace lockstep::cli
