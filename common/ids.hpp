/// Names of the things that messages, logs and cores talk about, each a type of its own.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

/// A text that names one kind of thing; the tag keeps a member's name from passing for a round's.
template <class Tag>
struct Name {
  std::string value;

  Name() = default;
  explicit Name(std::string text) : value(std::move(text)) {}
  [[nodiscard]] bool empty() const { return value.empty(); }
  auto operator<=>(const Name&) const = default;
};

using RoundId = Name<struct RoundTag>;
using GroupId = Name<struct GroupTag>;
using MemberId = Name<struct MemberTag>;

/// The longest name accepted from a user or a peer, in bytes.
inline constexpr std::size_t kMaxNameLength = 64;

/// True for 1 to 64 characters of [A-Za-z0-9._-], not starting with a dot: a name that is also safe as a file name.
[[nodiscard]] inline bool is_valid_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameLength || text.front() == '.') return false;
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

/// A pod: a network namespace of one boot of one machine. The pair is unique, and a process inside the namespace
/// reads the same pair as one on the host, so nobody has to be configured to agree on it.
struct PodId {
  std::string boot_id;              ///< /proc/sys/kernel/random/boot_id, 36 characters
  std::uint64_t netns_inode = 0;    ///< inode of /proc/PID/ns/net; 0: not known
  [[nodiscard]] bool known() const { return netns_inode != 0 && !boot_id.empty(); }
  auto operator<=>(const PodId&) const = default;
};

}  // namespace lockstep

template <class Tag>
struct std::hash<lockstep::Name<Tag>> {
  std::size_t operator()(const lockstep::Name<Tag>& name) const noexcept { return std::hash<std::string>{}(name.value); }
};
