/// What each socket of a member's table is to the group, and what a group wants done with it.
///
/// The labels of a member are a vector parallel to its SocketTable: labels[i] belongs to table[i]. They are made by the
/// broker (broker/core/connection_matching.hpp) when every pod of a round is locked, and saved with the images.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "schemas/allow_rule.hpp"
#include "schemas/socket_table.hpp"

namespace lockstep {

enum class ConnectionLabel : std::uint8_t {
  external,          ///< the other end is no socket of a member
  internal,          ///< the other end is a member's socket with the mirrored end points
  internal_service,  ///< the same across destination NAT: the end points do not mirror
  listening,
  half_open,  ///< handshake not finished, or not accepted yet (inode 0); also the client's end of the latter
  orphaned,   ///< the other end, in a pod of the round, has sent its last byte and is gone
  finished,   ///< TIME-WAIT, or closed by its process and only the kernel's (inode 0): no image holds it
  ambiguous,  ///< may be internal; the doubt tells why it is not taken for that
};

/// Why a socket is ambiguous.
enum class Doubt : std::uint8_t {
  none,
  several_candidates,  ///< more than one socket could be the other end
  unconfirmed,         ///< one candidate behind a Service address; neither byte counts nor conntrack prove it
  counts_differ,       ///< one candidate behind a Service address; byte counts speak against it
  source_translated,   ///< conntrack shows that the client's address was translated too
  peer_unseen,         ///< a member listens at the far end, but none of its sockets is the other end: source NAT, not
                       ///< accepted yet, or accepted by a process outside the round
};

/// One socket's label, and where the other end is.
struct SocketLabel {
  ConnectionLabel label = ConnectionLabel::external;
  Doubt doubt = Doubt::none;
  std::int32_t peer_member = -1;  ///< place in the round's list of members; -1: none
  std::int32_t peer_socket = -1;  ///< place in that member's table; -1: none
  [[nodiscard]] bool has_peer() const { return peer_member >= 0; }
  auto operator<=>(const SocketLabel&) const = default;
  static auto fields(auto& self) { return std::tie(self.label, self.doubt, self.peer_member, self.peer_socket); }
};

using SocketLabels = std::vector<SocketLabel>;

/// One translated connection of a namespace's connection tracking (conntrack): what its packets show on the client's
/// side of the translation, and what on the server's.
struct NatEntry {
  Endpoint original_source;       ///< the client's own
  Endpoint original_destination;  ///< where it connected to: the Service's
  Endpoint reply_source;          ///< the server's own
  Endpoint reply_destination;     ///< the client as the server sees it
  /// What enters is not what leaves.
  [[nodiscard]] bool translates() const {
    return original_destination != reply_source || original_source != reply_destination;
  }
  auto operator<=>(const NatEntry&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.original_source, self.original_destination, self.reply_source, self.reply_destination);
  }
};

// --- policy ---------------------------------------------------------------------------------------------------------

/// Of a group or a member; `inherit` takes the group's, in a group the default.
enum class ExternalPolicy : std::uint8_t {
  inherit,
  close,   ///< default: destroyed before the commit of a restore; the application gets ECONNABORTED
  keep,    ///< left established
  refuse,  ///< a dump with one does not commit
};

enum class AmbiguousPolicy : std::uint8_t {
  inherit,
  external,  ///< default: as an external one
  internal,  ///< as an internal one where there is exactly one candidate, else as an external one; to be the policy of
             ///< both ends' members, or the one end is closed under the other
  refuse,    ///< a dump with one does not commit
};

/// What a difference after a restore does.
enum class RevalidationPolicy : std::uint8_t {
  inherit,
  strict,  ///< default: the restore is aborted
  warn,    ///< it is reported
};

struct ConnectionPolicy {
  ExternalPolicy external = ExternalPolicy::inherit;
  AmbiguousPolicy ambiguous = AmbiguousPolicy::inherit;
  RevalidationPolicy revalidation = RevalidationPolicy::inherit;
  std::vector<AllowRule> external_allow;  ///< far ends whose external connections are kept, whatever `external` says
  auto operator<=>(const ConnectionPolicy&) const = default;
  static auto fields(auto& self) {
    return std::tie(self.external, self.ambiguous, self.revalidation, self.external_allow);
  }
};

/// What holds for a member: its own words before the group's, the defaults last; the allow rules of both. Nothing of
/// the result is `inherit`.
[[nodiscard]] ConnectionPolicy resolve(const ConnectionPolicy& group, const ConnectionPolicy& member);

/// What a label and a policy come to for one socket.
enum class Treatment : std::uint8_t {
  restore,  ///< comes back as it was saved
  close,    ///< comes back, and is destroyed before the commit
  refuse,   ///< the dump must not commit
  absent,   ///< is in no image, so it does not come back
};

/// `policy` is resolved.
[[nodiscard]] Treatment treatment_of(const Socket& socket, const SocketLabel& label, const ConnectionPolicy& policy);

[[nodiscard]] std::string_view to_string(ConnectionLabel label);
[[nodiscard]] std::string_view to_string(Doubt doubt);  ///< for a person: "several sockets could be the other end"
[[nodiscard]] std::string_view to_string(ExternalPolicy policy);
[[nodiscard]] std::string_view to_string(AmbiguousPolicy policy);
[[nodiscard]] std::string_view to_string(RevalidationPolicy policy);
[[nodiscard]] std::string_view to_string(Treatment treatment);
/// The words of a configuration: "close", "keep", "refuse"; nothing for any other text ("inherit" is not written).
[[nodiscard]] std::optional<ExternalPolicy> external_policy_from(std::string_view text);
[[nodiscard]] std::optional<AmbiguousPolicy> ambiguous_policy_from(std::string_view text);
[[nodiscard]] std::optional<RevalidationPolicy> revalidation_policy_from(std::string_view text);

}  // namespace lockstep
