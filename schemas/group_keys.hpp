/// What files about groups say in the same words, wherever they lie: the command line's GROUP.yaml and the broker's
/// groups.yaml. A target of its own: the cores link the messages without it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/config.hpp"
#include "schemas/messages.hpp"

namespace lockstep {

/// The most members of one group. (Each is a CRIU process at the same time.)
inline constexpr std::size_t kMaxGroupMembers = 1'000;

/// A name that has to be there.
void read_name(Config& config, std::string_view key, std::string& out);
/// A container's id in full, or its beginning.
void read_container_id(Config& config, std::string_view key, std::string& out);
void read_deadlines(Config& config, Deadlines& deadlines);
/// How a runtime goes through the members of a pod.
void read_order(Config& config, MemberOrder& order);
void read_lease(Config& config, std::uint32_t& lease_ms);
/// What happens to connections: the same words for a group and for a member.
void read_policy(Config& config, ConnectionPolicy& policy);

}  // namespace lockstep
