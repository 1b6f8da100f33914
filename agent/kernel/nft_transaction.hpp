/// Sends a batch of nf_tables messages and waits for the kernel's word on it.
#pragma once

#include <string_view>

#include "agent/kernel/nft_encoding.hpp"
#include "common/netlink.hpp"
#include "common/result.hpp"

namespace lockstep {

/// All of the batch has happened, or nothing. `socket` is a NETLINK_NETFILTER one of the namespace concerned.
[[nodiscard]] Result<void> run_transaction(NetlinkSocket& socket, const NftBatch& batch, std::string_view operation);

}  // namespace lockstep
