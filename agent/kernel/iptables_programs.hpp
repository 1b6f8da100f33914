/// The iptables programs: finding them, running them in a namespace, and taking chains out again.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// The programs for one address family.
struct IptablesPrograms {
  std::string restore;
  std::string save;
};

/// `flavour`: "" for the machine's default, "-nft" or "-legacy". not_found when they are not installed.
[[nodiscard]] Result<IptablesPrograms> find_iptables(IpFamily family, std::string_view flavour);

/// The filter table as iptables-save prints it.
[[nodiscard]] Result<std::string> saved_filter_table(const Fd& netns, const IptablesPrograms& programs);
/// Gives `script` to iptables-restore, which keeps what it does not name. The kernel takes it as a whole.
[[nodiscard]] Result<void> restore_rules(const Fd& netns, const IptablesPrograms& programs, const std::string& script);

/// What begins a script: these chains of the filter table, made or emptied.
[[nodiscard]] std::string declare_chains(std::span<const std::string_view> chains);
/// Deletions of all the jumps to these chains that iptables-save shows: iptables can't say "delete it if it is there".
[[nodiscard]] std::string delete_jumps(const std::string& saved, std::span<const std::string_view> chains);
/// True when iptables-save shows one of them.
[[nodiscard]] bool has_chain(const std::string& saved, std::span<const std::string_view> chains);
/// Takes the chains, and what jumps to them, out of the filter table. No error when there are none.
[[nodiscard]] Result<void> remove_chains(const Fd& netns, const IptablesPrograms& programs,
                                         std::span<const std::string_view> chains);

}  // namespace lockstep
