#include "common/unix_socket.hpp"

#include <cerrno>

namespace lockstep {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid, "socket " + path, "a unix socket's path has at most 107 characters");
  }
  path.copy(address.sun_path, path.size());
  return address;
}

Fd unix_stream_socket() { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

int connect_unix(const Fd& socket, const sockaddr_un& address) {
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

bool somebody_listens(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return false;
  const Fd probe = unix_stream_socket();
  if (!probe) return false;
  const int error = connect_unix(probe, *address);
  return error == 0 || error == EAGAIN;
}

}  // namespace lockstep
