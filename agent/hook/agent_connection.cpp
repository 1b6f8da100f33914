#include "agent/hook/agent_connection.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/trusted_path.hpp"
#include "common/unix_socket.hpp"

extern char** environ;

namespace lockstep::hook {
namespace {

/// How long a relay may take to end once its hook has closed the connection.
constexpr milliseconds kRelayGrace{2'000};
/// The descriptor at which a relay finds its hook.
constexpr int kRelayFd = 3;

int poll_timeout(TimePoint deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, std::numeric_limits<int>::max()));
}

Failure fail_untrusted(const std::string& path, std::string_view whose, uid_t uid) {
  return fail(ErrorCode::refused, "connect " + path,
              std::string(whose) + " belongs to user " + std::to_string(uid) + ", not to root; remove it");
}

/// Whether `path` is a socket that may be trusted. not_found when there is nothing.
Result<void> check_owner(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) < 0) {
    if (errno == ENOENT) return fail(ErrorCode::not_found, "connect " + path);
    return fail_errno("stat " + path);
  }
  if (!S_ISSOCK(status.st_mode)) return fail(ErrorCode::refused, "connect " + path, "not a socket; remove it");
  if (!is_trusted_user(status.st_uid)) return fail_untrusted(path, "the socket", status.st_uid);
  return {};
}

/// connect() that waits for a listener whose queue is full. not_found when nobody listens any more.
Result<void> connect_until(const Fd& socket, const sockaddr_un& address, const std::string& path, TimePoint deadline) {
  constexpr timespec kPause{0, 2'000'000};
  while ((errno = connect_unix(socket, address)) != 0) {
    if (errno == EINTR) continue;
    if (errno == ECONNREFUSED || errno == ENOENT) return fail(ErrorCode::not_found, "connect " + path);
    if (errno != EAGAIN) return fail_errno("connect " + path);
    if (Clock::now() >= deadline) return fail(ErrorCode::timeout, "connect " + path, "the agent takes no more hooks");
    ::nanosleep(&kPause, nullptr);
  }
  return {};
}

/// Connects to an agent. not_found when there is none at this path.
Result<Fd> connect_to(const std::string& path, TimePoint deadline) {
  const auto address = unix_address(path);
  if (!address) return Failure(address.error());
  if (auto trusted = check_owner(path); !trusted) return Failure(trusted.error());
  Fd socket = unix_stream_socket();
  if (!socket) return fail_errno("socket AF_UNIX");
  if (auto connected = connect_until(socket, *address, path, deadline); !connected) return Failure(connected.error());
  // Asked of the connection, so that it holds for whoever took it, whatever has happened to the path since.
  const auto peer = peer_credentials(socket.get());
  if (!peer) return fail_from(peer.error(), "connect " + path);
  if (!is_trusted_user(peer->uid)) return fail_untrusted(path, "the process that listens there", peer->uid);
  return socket;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

/// Connects to the sidecar of whatever pod. Nothing when none takes us.
std::optional<Fd> connect_to_any(const std::string& socket_dir, TimePoint deadline) {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(socket_dir.c_str()));
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name(static_cast<const char*>(entry->d_name));
    if (!name.starts_with("pod-") || !name.ends_with(".sock")) continue;
    if (auto socket = connect_to(socket_dir + "/" + std::string(name), deadline)) return std::move(*socket);
  }
  return std::nullopt;
}

/// lockstep-agent, in the folder of this very program (a build's), or where an installation has daemons.
Result<std::string> neighbour_agent() {
  std::array<char, 4096> path;  // not cleared: only what readlink() fills is looked at
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return fail_errno("readlink /proc/self/exe");
  const std::string_view own(path.data(), static_cast<std::size_t>(size));
  const std::string folder(own.substr(0, own.rfind('/') + 1));
  const std::string neighbour = folder + "lockstep-agent";
  const std::string installed = folder + "../sbin/lockstep-agent";
  return ::access(neighbour.c_str(), X_OK) != 0 && ::access(installed.c_str(), X_OK) == 0 ? installed : neighbour;
}

/// posix_spawn() with `hook_end` as kRelayFd, and with the signal settings that a daemon expects.
int spawn_relay(const std::string& program, int hook_end, const Settings& settings, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, hook_end, kRelayFd);  // also where they are equal: clears close-on-exec
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words{program, "--relay", "--hook-fd", std::to_string(kRelayFd), "--broker", settings.broker};
  if (!settings.key.empty()) words.insert(words.end(), {"--key", settings.key});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

Child::~Child() {
  if (pid_ == 0) return;
  // From a pidfd, so that no SIGCHLD handler and no guess at an interval is needed.
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd entry{handle.get(), POLLIN, 0};
  if (!handle || ::poll(&entry, 1, static_cast<int>(kRelayGrace.count())) <= 0) ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<AgentConnection> AgentConnection::open(const Settings& settings, std::uint64_t pod_inode) {
  const TimePoint deadline = Clock::now() + settings.silence;
  std::string tried;
  const std::string pod = settings.socket_dir + "/pod-" + std::to_string(pod_inode) + ".sock";
  for (const std::string& path : {pod_inode == 0 ? std::string() : pod, settings.socket_dir + "/node.sock"}) {
    if (path.empty()) continue;
    auto socket = connect_to(path, deadline);
    if (socket) return AgentConnection(std::move(*socket), Child(), "the agent");
    if (socket.error().code != ErrorCode::not_found) return Failure(socket.error());
    tried += (tried.empty() ? "" : " nor at ") + path;
  }
  // Whose pod it is matters to the broker; to carry a hook's words any agent will do.
  if (auto socket = connect_to_any(settings.socket_dir, deadline)) {
    return AgentConnection(std::move(*socket), Child(), "the agent of another pod");
  }
  if (!settings.broker.empty()) return open_relay(settings);
  return fail(ErrorCode::unavailable, "no agent listens at " + tried,
              "start lockstep-agent in the pod or on the node, or name a broker in " + std::string(kConfigFile));
}

Result<AgentConnection> AgentConnection::open_relay(const Settings& settings) {
  if (settings.broker.empty()) return fail(ErrorCode::invalid, "start a relay", "no broker's address is configured");
  return start_relay(settings);
}

Result<AgentConnection> AgentConnection::start_relay(const Settings& settings) {
  const std::string& broker = settings.broker;
  const auto program = neighbour_agent();
  if (!program) return Failure(program.error());
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) return fail_errno("socketpair");
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  pid_t pid = 0;
  const int error = spawn_relay(*program, theirs.get(), settings, pid);
  if (error != 0) {
    return Failure(Error{ErrorCode::unavailable, error, "start " + *program + " --relay --broker " + broker,
                         "no agent listens on this machine, so its program is needed next to the hook"});
  }
  return AgentConnection(std::move(ours), Child(pid), "the relay to the broker at " + broker);
}

Result<void> AgentConnection::send(const Message& message, TimePoint deadline) {
  const std::string bytes = encode(message);
  if (bytes.size() > kMaxFrame) {
    return fail(ErrorCode::invalid, "send " + std::string(type_name(message.body)),
                std::to_string(bytes.size()) + " bytes, more than a message may have");
  }
  auto sent = write_frame(socket_.get(), bytes, deadline);
  if (!sent) return fail_from(sent.error(), std::string(type_name(message.body)) + " to " + peer_);
  return {};
}

Result<void> AgentConnection::fill(TimePoint deadline) {
  pollfd entry{socket_.get(), POLLIN, 0};
  const int ready = ::poll(&entry, 1, poll_timeout(deadline));
  if (ready < 0 && errno != EINTR) return fail_errno("poll the agent's connection");
  if (ready <= 0) return {};
  auto batch = reader_.read_available(socket_.get());
  if (!batch) return Failure(batch.error());
  std::move(batch->frames.begin(), batch->frames.end(), std::back_inserter(frames_));
  closed_ = batch->closed;
  return {};
}

Result<Message> AgentConnection::receive(TimePoint deadline) {
  while (frames_.empty()) {
    if (closed_) {
      return fail(ErrorCode::unavailable, "wait for " + peer_,
                  reader_.mid_frame() ? "it closed the connection in the middle of a message"
                                      : "it closed the connection without an answer");
    }
    const bool last_look = Clock::now() >= deadline;  // one at least, so that an answer that is there is heard
    if (auto filled = fill(deadline); !filled) return Failure(filled.error());
    if (last_look && frames_.empty() && !closed_) return fail(ErrorCode::timeout, "wait for " + peer_);
  }
  const std::string frame = std::move(frames_.front());
  frames_.pop_front();
  return decode(frame);
}

}  // namespace lockstep::hook
