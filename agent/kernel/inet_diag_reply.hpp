/// Reading what inet_diag answers to a dump. Pure: bytes in, sockets out, safe on any bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

using InodeSet = std::unordered_set<std::uint64_t>;

/// Where a dump stands after one more datagram.
struct DumpProgress {
  bool done = false;         ///< this was the last one
  bool interrupted = false;  ///< NLM_F_DUMP_INTR: the table changed under the dump, which has to be made again
};

/// Appends the sockets of one datagram to `table`; with `wanted`, only those whose inode is in it. Messages of other
/// requests than `sequence` are passed over. An error of the kernel's comes back as `system`, malformed input as
/// `invalid`; the table is of no use then.
[[nodiscard]] Result<DumpProgress> parse_inet_diag(std::string_view datagram, std::uint32_t sequence,
                                                   const InodeSet* wanted, SocketTable& table);

}  // namespace lockstep
