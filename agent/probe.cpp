#include "agent/probe.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/fd.hpp"
#include "common/netns.hpp"
#include "common/unix_socket.hpp"

namespace lockstep::agent {
namespace {

constexpr milliseconds kPatience{2'000};

}  // namespace

Result<void> probe_socket(const std::string& path, milliseconds patience) {
  const auto address = unix_address(path);
  if (!address) return Failure(address.error());
  // Not to wait for a listener whose queue is full: such an agent does not serve.
  const Fd socket = unix_stream_socket();
  if (!socket) return fail_errno("socket(AF_UNIX)");
  if ((errno = connect_unix(socket, *address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return fail(ErrorCode::not_found, "probe " + path, "no agent listens");
    return fail_errno("probe " + path);
  }
  if (::shutdown(socket.get(), SHUT_WR) != 0) return fail_errno("probe " + path);
  pollfd entry{socket.get(), POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(patience.count())) <= 0) {
    return fail(ErrorCode::timeout, "probe " + path, "the agent listens, and does not serve");
  }
  std::array<char, 1> byte{};
  if (::read(socket.get(), byte.data(), byte.size()) != 0) {
    return fail(ErrorCode::refused, "probe " + path, "who listens there is no agent");
  }
  return {};
}

Result<void> probe(const AgentConfig& config) {
  if (config.scope == Scope::node) return probe_socket(config.socket_dir + "/node.sock", kPatience);
  const auto netns = open_netns("/proc/self/ns/net");
  if (!netns) return Failure(netns.error());
  const auto inode = netns_inode(*netns);
  if (!inode) return Failure(inode.error());
  return probe_socket(config.socket_dir + "/pod-" + std::to_string(*inode) + ".sock", kPatience);
}

}  // namespace lockstep::agent
