#include "agent/hook_server.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "common/trusted_path.hpp"
#include "common/unix_socket.hpp"

namespace lockstep::agent {
namespace {

/// More hooks than that never wait at one agent; a process that opens more is not a hook.
constexpr std::size_t kMaxConnections = 4'096;
constexpr int kBacklog = 1'024;
/// A hook says what it has to say as soon as it is there, and in one piece.
constexpr seconds kMessageTime{10};

/// Further groups of the process at the other end, as they were when it connected.
bool has_group(int connection, gid_t group) {
  std::vector<gid_t> groups(64);
  socklen_t size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int done = ::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  if (done != 0 && errno == ERANGE) {
    groups.resize(size / sizeof(gid_t));
    done = ::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
  }
  if (done != 0) return false;
  groups.resize(size / sizeof(gid_t));
  return std::ranges::find(groups, group) != groups.end();
}

}  // namespace

Result<HookServer> HookServer::listen(const std::string& path, const std::string& group) {
  const auto address = unix_address(path);
  if (!address) return Failure(address.error());
  std::error_code error;
  const std::string folder = std::filesystem::path(path).parent_path().string();
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::system, "create the folder of " + path, error.message());
  // Who can write there could put another socket in our place.
  if (auto trusted = check_folder(folder); !trusted) return fail_from(trusted.error(), "listen on " + path);
  if (somebody_listens(path)) {
    return fail(ErrorCode::conflict, "listen on " + path,
                "another agent serves this pod or node already; stop it first");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path);

  HookServer server;
  server.reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  server.listener_ = unix_stream_socket();
  if (!server.listener_) return fail_errno("socket(AF_UNIX)");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(server.listener_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int bind_errno = errno;
  ::umask(before);
  errno = bind_errno;
  if (bound != 0) return fail_errno("bind " + path);
  server.path_ = path;
  if (!group.empty()) {
    if (auto opened = server.open_to(group); !opened) return Failure(opened.error());
  }
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

Result<void> HookServer::open_to(const std::string& group) {
  const ::group* entry = ::getgrnam(group.c_str());  // NOLINT(concurrency-mt-unsafe): before there are threads
  if (entry == nullptr) return fail(ErrorCode::not_found, "hook_group " + group, "there is no such group");
  group_ = entry->gr_gid;
  if (::chown(path_.c_str(), static_cast<uid_t>(-1), *group_) != 0 || ::chmod(path_.c_str(), 0660) != 0) {
    return fail_errno("open " + path_ + " to group " + group);
  }
  return {};
}

std::optional<std::string> HookServer::objection(int connection) const {
  const auto peer = peer_credentials(connection);
  if (!peer) return peer.error().message();
  if (is_trusted_user(peer->uid)) return std::nullopt;
  if (group_ && (peer->gid == *group_ || has_group(connection, *group_))) return std::nullopt;
  return "process " + std::to_string(peer->pid) + " of user " + std::to_string(peer->uid) + " is neither root's nor " +
         (group_ ? "of hook_group" : "this agent's user's");
}

std::vector<std::string> HookServer::accept_all() {
  std::vector<std::string> turned_away;
  while (true) {
    Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection && (errno == EMFILE || errno == ENFILE)) {
      // Turned away rather than left in the queue, where it would keep the listener readable and the loop busy.
      reserve_.reset();
      connection.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      connection.reset();
      reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      return turned_away;
    }
    if (!connection) return turned_away;
    if (auto why = objection(connection.get())) {
      turned_away.push_back(std::move(*why));
      continue;
    }
    if (connections_.size() >= kMaxConnections && !make_room()) continue;
    add(std::move(connection));
  }
}

void HookServer::add(Fd connection) {
  Connection& added = connections_[next_++];
  added.fd = std::move(connection);
  added.last_message = Clock::now();
}

/// Gives up the oldest connection that has said nothing yet: nobody knows of it, and a hook would have spoken. False
/// when there is none.
bool HookServer::make_room() {
  const auto silent = std::find_if(connections_.begin(), connections_.end(),
                                   [](const auto& entry) { return !entry.second.has_spoken; });
  if (silent == connections_.end()) return false;
  connections_.erase(silent);
  return true;
}

void HookServer::break_off_slow(TimePoint now) {
  for (auto& [id, connection] : connections_) {
    const bool waited_for = !connection.has_spoken || connection.reader.mid_frame();
    if (waited_for && now - connection.last_message > kMessageTime) break_off(connection);
  }
}

HookInput HookServer::read(HookId hook) {
  HookInput input{hook, {}, false, {}};
  const auto connection = connections_.find(hook);
  if (connection == connections_.end()) return input;
  const bool begins = !connection->second.reader.mid_frame();
  auto batch = connection->second.reader.read_available(connection->second.fd.get());
  if (!batch) {
    input.closed = true;
    input.problem = batch.error().message();
    return input;
  }
  input.closed = batch->closed;
  // The rest of a message is waited for from its begin on.
  if (begins || !batch->frames.empty()) connection->second.last_message = Clock::now();
  if (!batch->frames.empty()) connection->second.has_spoken = true;
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
