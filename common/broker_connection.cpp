#include "common/broker_connection.hpp"

#include <unistd.h>

#include <algorithm>

#include "common/endpoints.hpp"
#include "common/trusted_path.hpp"

namespace lockstep {

Result<std::optional<PeerKey>> key_for(const std::vector<std::string>& endpoints, const std::string& path,
                                       const std::vector<std::string>& defaults) {
  std::string networked;
  bool any_tcp = false;
  for (const std::string& text : endpoints) {
    if (text.empty()) continue;
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return Failure(endpoint.error());
    any_tcp = any_tcp || endpoint->transport == Transport::tcp;
    if (!is_loopback(*endpoint)) networked = text;
  }
  if (!any_tcp) return std::nullopt;
  std::string chosen = path;
  for (const std::string& file : defaults) {
    if (chosen.empty() && ::access(file.c_str(), F_OK) == 0) chosen = file;
  }
  if (!chosen.empty() && chosen != kNoKey) {
    auto key = load_peer_key(chosen);
    if (!key) {
      Error error = key.error();
      error.code = ErrorCode::invalid;  // whatever it is, it is on this machine
      return fail_from(error, "key");
    }
    return std::optional(std::move(*key));
  }
  if (networked.empty()) return std::nullopt;
  return fail(
      ErrorCode::invalid, "connect to " + networked,
      "it is reached over a network, and there is no key; `lockstep keys add` on the broker's machine makes one, "
      "to be named by `key:` or put at " +
          (defaults.empty() ? std::string(kDefaultKeys) : defaults.front()));
}

Result<void> check_broker_socket(const std::string& endpoint) {
  const auto parsed = parse_endpoint(endpoint);
  if (!parsed) return Failure(parsed.error());
  if (parsed->transport != Transport::ipc) return {};
  auto trusted = check_socket(parsed->path);
  if (!trusted) return fail_from(trusted.error(), "the broker's socket");
  return trusted;
}

std::string explain(HandshakeFailure failure, const std::string& broker, const std::optional<PeerKey>& key) {
  const std::string who = "the broker at " + broker;
  switch (failure) {
    case HandshakeFailure::not_accepted:
      if (!key) return who + " does not accept this user; be root, or of its ipc_group";
      return who + " does not accept the key " + key->entry.name + " (" + key->path +
             "): it is not in its allow-list, or was revoked; see `lockstep keys list` there";
    case HandshakeFailure::other_terms:
    case HandshakeFailure::broken:
      if (!key) return who + " ends the connection; does it want a key? `lockstep keys add` there makes one";
      [[fallthrough]];
    case HandshakeFailure::other_key:
      return who + " can't be spoken to with the key " +
             (key ? key->entry.name + " (" + key->path + ")" : std::string("?")) +
             ": it has no keys, or is not the broker that this key was made for";
  }
  return who;
}

}  // namespace lockstep
