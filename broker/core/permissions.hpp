/// Who may say what to the broker. Pure: the shell tells who is behind a message, as its connection has proved it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/key_entry.hpp"
#include "schemas/messages.hpp"

namespace lockstep::broker {

enum class Access : std::uint8_t {
  everything,  ///< root, or the broker's own user, on its machine; without keys whoever reaches its loopback
  agent,
  operator_,
  observer,
  nothing,  ///< a key that counts no more
};

/// Who is behind a connection.
struct Identity {
  Access access = Access::everything;
  std::string id;       ///< tells one identity from all others: a public key, or a user of this machine
  std::string name;     ///< for people: "key web-1"; empty: nobody in particular
  std::string node;     ///< agents: where the key is at home
  std::string boot_id;  ///< agents: the only boot that counts; empty: any
  bool operator==(const Identity&) const = default;
};

/// What a key's entry in the allow-list makes of whoever has it.
[[nodiscard]] Identity identity_of(const KeyEntry& entry);
/// Of a key that is not, or no longer, in the list.
[[nodiscard]] Identity stranger(const std::string& public_key, const std::string& known_as);

/// What only agents and their relays say, and what only clients that may operate do.
[[nodiscard]] bool of_agents(const Body& body);
[[nodiscard]] bool of_operators(const Body& body);

/// Why this identity may not say this, whatever it is about; nothing when it may. What nobody says to a broker is not
/// decided here.
[[nodiscard]] std::optional<std::string> refusal(const Identity& who, const Body& body);

/// Which boot of which machine is whose. A boot id can be read by everybody on its machine and is not secret; what
/// counts is that a node's key can't claim what another node's key has claimed. The first claim stands.
class NodeBook {
 public:
  /// An agent says where it lives. Why it can't be, or nothing; then its node lives there from now on.
  [[nodiscard]] std::optional<std::string> claim(const Identity& who, const std::string& boot_id);
  /// Only these nodes still have a key: what others have claimed is free again.
  void keep_only(const std::set<std::string>& nodes);
  /// Why an agent can't speak about a pod of this boot, or nothing. An empty id is of no boot in particular.
  [[nodiscard]] std::optional<std::string> speak_of(const Identity& who, const std::string& boot_id) const;

 private:
  std::map<std::string, std::string> boot_of_;  ///< by node; one each: a machine that was rebooted has another
};

}  // namespace lockstep::broker
