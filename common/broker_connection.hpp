/// What agents, relays and the command line have to settle before they connect to a broker: with which key, and whether
/// its unix socket can be anybody else's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/handshake_watch.hpp"
#include "common/key_files.hpp"
#include "common/result.hpp"

namespace lockstep {

/// A key's path that stands for "none": plain, and so to this machine only.
inline constexpr std::string_view kNoKey = "none";
inline constexpr const char* kAgentKey = "/etc/lockstep/keys/agent.key";
inline constexpr const char* kOperatorKey = "/etc/lockstep/keys/operator.key";
inline constexpr const char* kObserverKey = "/etc/lockstep/keys/observer.key";

/// The key for these endpoints: of `path`, or where that is empty the first of `defaults` that exists. Nothing where
/// none is needed: over ipc, and over loopback where there is none. invalid: a key that can't be used, or an endpoint
/// on the network and no key.
[[nodiscard]] Result<std::optional<PeerKey>> key_for(const std::vector<std::string>& endpoints, const std::string& path,
                                                     const std::vector<std::string>& defaults);

/// Refuses an ipc endpoint at which somebody else than root or ourselves might listen.
[[nodiscard]] Result<void> check_broker_socket(const std::string& endpoint);

/// For a person: what has gone wrong and what to do.
[[nodiscard]] std::string explain(HandshakeFailure failure, const std::string& broker,
                                  const std::optional<PeerKey>& key);

}  // namespace lockstep
