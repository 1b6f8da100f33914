/// Who is connected with whom over unix sockets, from the kernel's sock_diag interface.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

struct UnixSocket {
  std::uint64_t peer = 0;  ///< the other end's inode; 0: none
  std::string name;        ///< path, or '@' and an abstract name; may be empty
};
using UnixSockets = std::map<std::uint64_t, UnixSocket>;

/// Adds those of a network namespace. Connections that wait to be accepted count as connected with their listener.
[[nodiscard]] Result<void> read_unix_sockets(const Fd& netns, UnixSockets& sockets);

/// Takes in one datagram of the kernel's answer; false after the last one. Pure.
[[nodiscard]] Result<bool> take_unix_sockets(std::string_view datagram, UnixSockets& sockets);

}  // namespace lockstep::cli
