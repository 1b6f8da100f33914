/// The rules of the lock's chains, and the names that they share with the rest of the table (nft_encoding.hpp shows it
/// whole).
#pragma once

#include <netinet/in.h>  // in front of the kernel's, which then leaves out what libc has

#include <linux/netfilter.h>

#include <array>
#include <cstdint>
#include <vector>

#include "agent/kernel/nft_encoding.hpp"
#include "agent/kernel/nft_message.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep::nft {

inline constexpr const char* kTable = "lockstep";
inline constexpr const char* kResets = "resets";
inline constexpr const char* kClosingV4 = "closing4";
inline constexpr const char* kClosingV6 = "closing6";

[[nodiscard]] constexpr const char* name_of(ArmedSet set) { return set == ArmedSet::armed ? "armed" : "rearmed"; }

struct Chain {
  const char* name;
  std::uint32_t hook;
};
inline constexpr std::array kChains{Chain{"in", NF_INET_LOCAL_IN}, Chain{"out", NF_INET_LOCAL_OUT}};

/// All rules of one chain, in order. The sets that they look into have to be there.
void add_rules(NftBatchBuilder& batch, const Chain& chain, const std::vector<Endpoint>& exempt);

}  // namespace lockstep::nft
