/// Keys as files: the broker's folder with its own key and its allow-list, and the key that a peer brings.
///
///   FOLDER/broker.key         the broker's pair (0600)
///   FOLDER/broker.pub         its public part, for peers that make their own keys
///   FOLDER/allowed/NAME.yaml  the allow-list, one file for each key: its public part, its role, its node
///   FOLDER/revoked/NAME.TIME.yaml  what `lockstep keys revoke` has taken out of it
///   NAME.key                  a peer's pair and the broker's public part (0600); at home on the peer's machine
///
/// A file with a secret in it has to belong to root or to its reader, and to be closed to everybody else; other ones
/// may be readable, but may not be written by others. What is not so is refused.
#pragma once

#include <string>
#include <vector>

#include "common/key_entry.hpp"
#include "common/result.hpp"

namespace lockstep {

inline constexpr const char* kDefaultKeys = "/etc/lockstep/keys";
/// A pair of CURVE keys, each 40 characters of Z85.
struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

/// What a peer needs to speak to a broker.
struct PeerKey {
  KeyEntry entry;
  std::string secret_key;
  std::string broker_key;  ///< the broker's public part: only who has its secret part is the broker
  std::string path;        ///< where it was read, for messages
};

/// A new pair. unavailable where libzmq was built without CURVE.
[[nodiscard]] Result<KeyPair> make_key_pair();
/// 40 characters of Z85.
[[nodiscard]] bool is_key(std::string_view text);

[[nodiscard]] Result<PeerKey> load_peer_key(const std::string& path);
[[nodiscard]] Result<KeyPair> load_broker_key(const std::string& folder);

/// Makes the folder, the broker's pair, and an empty allow-list. conflict where there is a pair already.
[[nodiscard]] Result<void> init_key_folder(const std::string& folder);

/// One file of the allow-list, from its text. `path` is for messages; the file's name has to be the entry's.
[[nodiscard]] Result<KeyEntry> parse_key_entry(const std::string& yaml, const std::string& path);

struct KeyList {
  std::vector<KeyEntry> allowed;  ///< by name
  std::vector<KeyEntry> revoked;
  std::vector<std::string> complaints;  ///< files that do not count, and why
};
/// Reads the whole list. A file that is wrong does not count, and the others do; without a folder nobody is allowed.
[[nodiscard]] Result<KeyList> load_key_list(const std::string& folder);

/// Puts an entry into the allow-list. conflict where its name or its key is there already, or the key was revoked.
[[nodiscard]] Result<void> allow_key(const std::string& folder, const KeyEntry& entry);
/// Takes an entry out of it. not_found where there is none of this name.
[[nodiscard]] Result<KeyEntry> revoke_key(const std::string& folder, const std::string& name);
/// Writes a peer's key file. conflict where the file is there already.
[[nodiscard]] Result<void> write_peer_key(const std::string& path, const PeerKey& key);

}  // namespace lockstep
