/// Unix stream sockets by their path.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep {

/// invalid when the path is longer than the 107 bytes that an address has room for.
[[nodiscard]] Result<sockaddr_un> unix_address(const std::string& path);
/// A new stream socket that never waits; errno tells why it is empty.
[[nodiscard]] Fd unix_stream_socket();
/// connect(): 0, or an errno. EAGAIN: somebody listens, and the queue is full.
[[nodiscard]] int connect_unix(const Fd& socket, const sockaddr_un& address);
/// A socket's file says nothing: only one that somebody listens on can be connected to.
[[nodiscard]] bool somebody_listens(const std::string& path);

}  // namespace lockstep
