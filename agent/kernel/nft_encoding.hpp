/// The nf_tables messages of the lock, and the kernel's answers to them. Pure: builds and reads bytes, touches no
/// socket.
///
///   table inet lockstep {
///     set armed   { type ether_type; flags timeout; }     # { ip timeout 30s, ip6 timeout 30s } when the pod is closed
///     set rearmed { type ether_type; flags timeout; }     # the two take turns, see NftLock
///     chain in  { type filter hook input priority -400; policy accept;
///       meta mark 0xC114 accept
///       icmpv6 type 133-136 accept
///       ip saddr BROKER tcp sport PORT accept              # out: daddr and dport; one for each exempt end point
///       meta protocol @armed drop
///       meta protocol @rearmed drop }
///     chain out { the same for hook output }
///   }
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

enum class ArmedSet : std::uint8_t { armed, rearmed };

[[nodiscard]] constexpr ArmedSet other(ArmedSet set) {
  return set == ArmedSet::armed ? ArmedSet::rearmed : ArmedSet::armed;
}

/// One transaction, as it goes into one datagram.
struct NftBatch {
  std::string bytes;
  std::uint32_t first_sequence = 0;  ///< of the batch's own begin message
  std::uint32_t last_sequence = 0;   ///< of the last message that changes something, the one that asks for an answer
};

/// Sequence numbers count up from `sequence`. All fail only when memory is short.
[[nodiscard]] Result<NftBatch> encode_prepare(std::uint32_t sequence, const std::vector<Endpoint>& exempt);
[[nodiscard]] Result<NftBatch> encode_fill(std::uint32_t sequence, ArmedSet set, milliseconds timeout);
[[nodiscard]] Result<NftBatch> encode_flush(std::uint32_t sequence, ArmedSet set);
[[nodiscard]] Result<NftBatch> encode_flush_both(std::uint32_t sequence);
[[nodiscard]] Result<NftBatch> encode_remove(std::uint32_t sequence);

}  // namespace lockstep
