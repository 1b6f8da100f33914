/// The messages of connection tracking (ctnetlink) that ask for TCP connections, and the entries that answer. Pure, and
/// safe on any bytes.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/connections.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

/// One direction of a TCP connection, as a packet of it shows its end points.
struct Flow {
  Endpoint from;
  Endpoint to;
  auto operator<=>(const Flow&) const = default;
};

/// Appends a request for the entry that has `flow` in either of its directions, in the default zone. The kernel answers
/// it with one message: the entry, or an error (ENOENT: there is none).
void append_conntrack_request(std::string& datagram, const Flow& flow, std::uint32_t sequence);

/// Appends a request for all entries, of both address families and every zone.
void append_conntrack_dump(std::string& datagram, std::uint32_t sequence);

/// Reads the payload of a message about an entry. Nothing when it does not hold both directions of a TCP connection.
[[nodiscard]] std::optional<NatEntry> parse_conntrack_entry(std::string_view payload);

}  // namespace lockstep
