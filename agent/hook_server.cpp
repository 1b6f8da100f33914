#include "agent/hook_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

namespace lockstep::agent {
namespace {

/// More hooks than that never wait at one agent; a process that opens more is not a hook.
constexpr std::size_t kMaxConnections = 4'096;
constexpr int kBacklog = 1'024;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid, "socket " + path, "a unix socket's path has at most 107 characters");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool somebody_listens(const sockaddr_un& address) {
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Result<HookServer> HookServer::listen(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return Failure(address.error());
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return fail(ErrorCode::system, "create the folder of " + path, error.message());
  if (somebody_listens(*address)) {
    return fail(ErrorCode::conflict, "listen on " + path, "another agent serves this pod or node already; stop it first");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path);

  HookServer server;
  server.reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  server.listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server.listener_) return fail_errno("socket(AF_UNIX)");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(server.listener_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int bind_errno = errno;
  ::umask(before);
  errno = bind_errno;
  if (bound != 0) return fail_errno("bind " + path);
  server.path_ = path;
  if (::listen(server.listener_.get(), kBacklog) != 0) return fail_errno("listen on " + path);
  return server;
}

Result<HookServer> HookServer::adopt(Fd connection) {
  const int flags = ::fcntl(connection.get(), F_GETFL);
  if (flags < 0 || ::fcntl(connection.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno("hook's descriptor " + std::to_string(connection.get()));
  }
  HookServer server;
  server.add(std::move(connection));
  return server;
}

HookServer::~HookServer() {
  // A moved-from server has no listener, and its path belongs to the new one.
  if (listener_ && !path_.empty()) ::unlink(path_.c_str());
}

std::vector<HookServer::Interest> HookServer::interests() const {
  std::vector<Interest> list;
  list.reserve(connections_.size() + 1);
  if (listener_) list.push_back({listener_.get(), 0, false});
  for (const auto& [id, connection] : connections_) {
    list.push_back({connection.fd.get(), id, connection.writer.pending() > 0});
  }
  return list;
}

void HookServer::accept_all() {
  while (true) {
    Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection && (errno == EMFILE || errno == ENFILE)) {
      // Turned away rather than left in the queue, where it would keep the listener readable and the loop busy.
      reserve_.reset();
      connection.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      connection.reset();
      reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      return;
    }
    if (!connection) return;
    if (connections_.size() >= kMaxConnections) continue;
    const auto peer = peer_credentials(connection.get());
    if (!peer || (peer->uid != 0 && peer->uid != ::geteuid())) continue;
    add(std::move(connection));
  }
}

void HookServer::add(Fd connection) { connections_[next_++].fd = std::move(connection); }

HookInput HookServer::read(HookId hook) {
  HookInput input{hook, {}, false, {}};
  const auto connection = connections_.find(hook);
  if (connection == connections_.end()) return input;
  auto batch = connection->second.reader.read_available(connection->second.fd.get());
  if (!batch) {
    input.closed = true;
    input.problem = batch.error().message();
    return input;
  }
  input.closed = batch->closed;
  for (const std::string& frame : batch->frames) {
    auto message = decode(frame);
    if (!message) {
      input.closed = true;
      input.problem = message.error().message();
      break;
    }
    input.messages.push_back(std::move(*message));
  }
  return input;
}

void HookServer::send(HookId hook, const Message& message, bool last) {
  const auto connection = connections_.find(hook);
  if (connection == connections_.end()) return;
  // A hook that does not read is as good as gone.
  if (!connection->second.writer.queue(encode(message))) return break_off(connection->second);
  connection->second.closing = connection->second.closing || last;
  flush(hook);
}

void HookServer::flush(HookId hook) {
  const auto connection = connections_.find(hook);
  if (connection == connections_.end()) return;
  const auto flushed = connection->second.writer.flush(connection->second.fd.get());
  if (!flushed) return break_off(connection->second);
  if (connection->second.closing && connection->second.writer.pending() == 0) drop(hook);
}

void HookServer::break_off(Connection& connection) {
  // Not dropped: it becomes readable at its end, and read() tells whoever has to know that this hook is gone.
  ::shutdown(connection.fd.get(), SHUT_RDWR);
  connection.writer = FrameWriter(2 * kMaxFrame);
}

}  // namespace lockstep::agent
