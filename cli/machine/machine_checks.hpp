/// The checks of `lockstep doctor` that look at this machine. Each tries one thing, and leaves nothing behind.
#pragma once

#include <string>
#include <vector>

#include "cli/machine/check.hpp"

namespace lockstep::cli {

[[nodiscard]] Check check_root();
/// An nftables lock, or the fallback's, armed and removed in a fresh network namespace.
[[nodiscard]] Check check_lock();
[[nodiscard]] Check check_sock_diag();
[[nodiscard]] Check check_pidfd();
[[nodiscard]] Check check_iptables();
[[nodiscard]] Check check_clock();
/// Its version, and a dump of a process with an established connection.
[[nodiscard]] std::vector<Check> check_criu_works(const std::vector<std::string>& criu);
/// For each runtime that is installed: its configuration file, and whether CRIU runs the hook under it.
[[nodiscard]] std::vector<Check> check_runtimes(const std::vector<std::string>& criu, const std::string& root);
[[nodiscard]] Check check_agents(const std::string& socket_dir);
[[nodiscard]] Check check_broker(const std::string& option, const std::string& key);
/// Containers that live in this machine's own network can't be members.
[[nodiscard]] Check check_host_network();

}  // namespace lockstep::cli
