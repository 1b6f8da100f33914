/// Comments as the nft program writes and shows them: in the "user data" that the kernel keeps with tables and elements,
/// a list of type (1 byte), length (1 byte), value. Pure, and safe on any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::nft {

/// nft's type number for a table's comment, and for an element's.
inline constexpr char kCommentType = 0;

/// `comment` of at most kMaxComment bytes (lock_note.hpp); nft wants it to end in a NUL.
[[nodiscard]] inline std::string comment_data(std::string_view comment) {
  std::string data{kCommentType, static_cast<char>(comment.size() + 1)};
  return data.append(comment).append(1, '\0');
}

/// The comment in a table's or element's user data; empty where there is none.
[[nodiscard]] inline std::string comment_in(std::string_view data) {
  while (data.size() >= 2) {
    const std::size_t length = static_cast<std::uint8_t>(data[1]);
    if (length > data.size() - 2) return {};
    if (data[0] == kCommentType) return std::string(data.substr(2, data.substr(2, length).find('\0')).substr(0, length));
    data.remove_prefix(2 + length);
  }
  return {};
}

}  // namespace lockstep::nft
