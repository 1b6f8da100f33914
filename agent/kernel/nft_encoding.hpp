/// The nf_tables messages of the lock. Pure: builds bytes, touches no socket.
///
///   table inet lockstep {
///     comment "agent=node7/node pid=812 …"                # lock_note.hpp; the armed sets' elements tell the round
///     set armed   { type ether_type; flags timeout; }     # { ip timeout 30s, ip6 timeout 30s } when the pod is closed
///     set rearmed { type ether_type; flags timeout; }     # the two take turns, see NftLock
///     set resets  { type ether_type; flags timeout; }     # filled while connections are being closed
///     set closing4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }  # those of them whose
///     set closing6 { type ipv6_addr . …; flags timeout; }                                        # peer may ask back
///     chain in  { type filter hook input priority -400; policy accept;
///       meta mark 0xC114 accept
///       icmpv6 type 133-136 accept
///       ip saddr BROKER tcp sport PORT accept              # out: daddr and dport; one for each exempt end point
///       tcp flags ! syn ip saddr . tcp sport . ip daddr . tcp dport @closing4 accept   # and the same for IPv6
///       meta protocol @armed drop
///       meta protocol @rearmed drop
///       meta protocol @armed drop }                      # again: see nft_rules.cpp
///     chain out { the same for hook output, with this in the place of the closing sets:
///       tcp flags & rst == rst meta protocol @resets accept }
///   }
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
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

/// Sequence numbers count up from `sequence`. Comments may be empty. All fail only when memory is short.
[[nodiscard]] Result<NftBatch> encode_prepare(std::uint32_t sequence, const std::vector<Endpoint>& exempt,
                                              std::string_view comment);
/// The same, with ArmedSet::armed filled.
[[nodiscard]] Result<NftBatch> encode_take_over(std::uint32_t sequence, const std::vector<Endpoint>& exempt,
                                                std::string_view comment, milliseconds timeout,
                                                std::string_view armed_comment);
[[nodiscard]] Result<NftBatch> encode_fill(std::uint32_t sequence, ArmedSet set, milliseconds timeout,
                                           std::string_view comment);
[[nodiscard]] Result<NftBatch> encode_flush(std::uint32_t sequence, ArmedSet set);
[[nodiscard]] Result<NftBatch> encode_flush_both(std::uint32_t sequence);
/// Lets resets out for `timeout` from now, and for as long what comes in for these connections, in addition to earlier
/// ones.
[[nodiscard]] Result<NftBatch> encode_pass_resets(std::uint32_t sequence, milliseconds timeout,
                                                  std::span<const Socket> answered);
[[nodiscard]] Result<NftBatch> encode_stop_resets(std::uint32_t sequence);
[[nodiscard]] Result<NftBatch> encode_remove(std::uint32_t sequence);
/// Any table, by the number of its family and its name.
[[nodiscard]] Result<NftBatch> encode_remove_table(std::uint32_t sequence, std::uint8_t family,
                                                   const std::string& name);

}  // namespace lockstep
