#include "cli/examine/examine.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>

namespace lockstep::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
/// CRIU's default --ghost-limit.
constexpr std::uint64_t kGhostLimit = kMiB;
constexpr std::string_view kDeleted = " (deleted)";
constexpr int kMptcp = 262;  // IPPROTO_MPTCP, which older headers lack

/// Anonymous inodes that CRIU saves.
constexpr std::array<std::string_view, 9> kKnownInodes{
    "[eventfd]", "[eventpoll]", "[signalfd]", "[timerfd]", "inotify", "[fanotify]", "[pidfd]", "bpf-map", "[fsnotify]"};

/// Device numbers of files that CRIU saves: memory devices, terminals, and /dev/net/tun.
bool is_known_device(unsigned major, unsigned minor) {
  constexpr unsigned kMemory = 1;
  constexpr unsigned kVirtualTerminals = 4;
  constexpr unsigned kTerminals = 5;
  constexpr unsigned kMisc = 10;
  constexpr unsigned kTun = 200;
  const bool pty = major >= 128 && major <= 143;
  return major == kMemory || major == kVirtualTerminals || major == kTerminals || pty ||
         (major == kMisc && minor == kTun);
}

bool is_slave(const OpenFile& file) {
  return file.kind == FileKind::character && file.device_major >= 136 && file.device_major <= 143;
}

class Examination {
 public:
  Examination(const TreeFacts& tree, const std::vector<std::string>& given) : tree_(tree), given_(given) {
    for (const ProcessFacts& process : tree.processes) {
      pids_.insert(process.pid);
      for (const OpenFile& file : process.files) {
        if (file.kind == FileKind::socket) sockets_.insert(file.inode);
        if (file.pty_of) ptys_.insert(*file.pty_of);
      }
    }
  }

  std::vector<Finding> run() {
    check_session();
    for (const ProcessFacts& process : tree_.processes) {
      process_ = &process;
      said_.clear();
      check_process();
      for (const OpenFile& file : process.files) check_file(file);
      for (const MappedFile& map : process.maps) check_map(map);
    }
    for (const Outsider& outsider : tree_.outsiders) {
      findings_.push_back({Severity::note,
                           outsider.pid,
                           outsider.name,
                           -1,
                           outsider.why + " and not in the tree: it is not dumped, nor killed with it",
                           "make it a member of its own, or keep it in the foreground",
                           {},
                           false});
    }
    std::ranges::stable_sort(findings_, {}, &Finding::severity);
    return std::move(findings_);
  }

 private:
  /// `key`: one finding of it for each process is enough.
  void add(Severity severity, std::string key, int fd, std::string what, std::string remedy,
           std::vector<std::string> options = {}, bool on_restore = false) {
    if (!said_.insert(std::move(key)).second) return;
    findings_.push_back({severity, process_->pid, process_->name, fd, std::move(what), std::move(remedy),
                         std::move(options), on_restore});
  }
  void fatal(const std::string& key, int fd, std::string what, std::string remedy) {
    add(Severity::fatal, key, fd, std::move(what), std::move(remedy));
  }
  /// Nothing where the user gives the option anyway.
  void need(const std::string& option, char letter, int fd, std::string what, bool on_restore) {
    if (is_given(option, letter)) return;
    add(Severity::option, option, fd, std::move(what), "CRIU needs " + option, {option}, on_restore);
  }

  [[nodiscard]] bool is_given(std::string_view option, char letter = 0) const {
    return std::ranges::any_of(given_, [&](std::string_view word) {
      return word.substr(0, word.find('=')) == option || (letter != 0 && word == std::string{'-', letter});
    });
  }
  [[nodiscard]] bool allows_external(std::string_view kind) const {
    return std::ranges::any_of(
        given_, [&](const std::string& word) { return word.find(std::string(kind) + "[") != std::string::npos; });
  }

  void check_session() {
    if (tree_.processes.empty()) return;
    process_ = &tree_.processes.front();
    // A tree without its session's leader comes back in the session of whoever restores it.
    if (process_->session == process_->pid) return;
    need("--shell-job", 'j', -1,
         "is the tree's root and no session leader (its session is that of process " +
             std::to_string(process_->session) + ")",
         true);
  }

  void check_process() {
    if (process_->tracer != 0) {
      fatal("traced", -1, "is traced by process " + std::to_string(process_->tracer),
            "detach the debugger or tracer first");
    }
    if (process_->limits_hidden) {
      add(Severity::note, "limits", -1, "belongs to another user, and lockstep runs without CAP_SYS_RESOURCE",
          "CRIU may fail to read its limits (\"Can't get rlimit\"): give lockstep that capability");
    }
    if (tree_.may_raise_limits) return;
    for (const Limit& limit : process_->limits) {
      const auto own = std::ranges::find(tree_.own_limits, limit.name, &Limit::name);
      if (own == tree_.own_limits.end() || limit.hard <= own->hard) continue;
      add(Severity::note, "limit " + limit.name, -1,
          "has a hard limit above CRIU's own (" + limit.name + ": " + text_of(limit.hard) + ", CRIU's " +
              text_of(own->hard) + "): a restore lowers it",
          "raise lockstep's own limit, or give it CAP_SYS_RESOURCE");
    }
  }

  static std::string text_of(std::uint64_t limit) { return limit == kUnlimited ? "unlimited" : std::to_string(limit); }

  void check_file(const OpenFile& file) {
    if (file.locked) need("--file-locks", 'l', file.fd, "holds a lock on " + file.path, true);
    switch (file.kind) {
      case FileKind::anonymous: return check_anonymous(file);
      case FileKind::socket: return file.socket ? check_socket(file, *file.socket) : void();
      case FileKind::character: return check_device(file);
      case FileKind::block:
        return fatal("block " + file.path, file.fd, "has the block device " + file.path + " open",
                     "CRIU can't dump it: close it for the checkpoint");
      case FileKind::regular: return check_unlinked(file.path, file.links, file.bytes, file.fd);
      default: return;
    }
  }

  void check_anonymous(const OpenFile& file) {
    const std::string_view name =
        std::string_view(file.path).substr(std::min(file.path.find(':') + 1, file.path.size()));
    const auto is = [&](std::string_view word) { return name.find(word) != std::string_view::npos; };
    if (is("io_uring")) {
      return fatal("io_uring", file.fd, "uses io_uring", "CRIU can't dump it: switch it off in the application");
    }
    if (is("userfaultfd")) return fatal("userfaultfd", file.fd, "uses userfaultfd", "CRIU can't dump it");
    if (is("perf_event")) {
      return fatal("perf_event", file.fd, "has performance counters open (perf_event)",
                   "CRIU can't dump them: end the profiler");
    }
    const bool known = std::ranges::any_of(kKnownInodes, [&](std::string_view word) { return is(word); });
    if (!known)
      fatal(file.path, file.fd, "has " + file.path + " open", "CRIU can't dump it: close it for the checkpoint");
  }

  void check_device(const OpenFile& file) {
    if (is_slave(file)) return check_terminal(file);
    if (is_known_device(file.device_major, file.device_minor) || is_given("--enable-external-masters")) return;
    fatal("device " + file.path, file.fd, "has the device " + file.path + " open",
          "CRIU can't dump it without a plugin: close it for the checkpoint");
  }

  void check_terminal(const OpenFile& file) {
    const unsigned number = (file.device_major - 136) * 256 + file.device_minor;
    // A terminal that something in the tree serves (tmux, screen, sshd) is dumped with it.
    if (ptys_.contains(number) || is_given("--shell-job", 'j') || allows_external("tty")) return;
    // A container's terminal: whoever restores it takes the new master.
    if (is_given("--orphan-pts-master")) return;
    fatal("terminal", file.fd, "has the terminal " + file.path + " open, which is served from outside of the tree",
          "start it without one (setsid, output to a file), or keep the terminal's server in the tree");
  }

  void check_socket(const OpenFile& file, const SocketFacts& socket) {
    if (socket.family == AF_UNIX) return check_unix(file, socket);
    if (socket.family == AF_NETLINK || socket.family == AF_PACKET) return;
    const bool inet = socket.family == AF_INET || socket.family == AF_INET6;
    if (inet && socket.protocol == kMptcp) {
      return fatal(
          "mptcp", file.fd, "has an MPTCP socket",
          "CRIU can't dump it: switch MPTCP off in the application (sysctl net.mptcp.enabled=0 makes new ones fail)");
    }
    const bool known = socket.type == SOCK_RAW || socket.protocol == IPPROTO_TCP || socket.protocol == IPPROTO_UDP ||
                       socket.protocol == IPPROTO_UDPLITE;
    if (inet && known) return check_listener(file, socket);
    const std::string kind =
        "family " + std::to_string(socket.family) + ", protocol " + std::to_string(socket.protocol);
    fatal("socket " + kind, file.fd, "has a socket of a kind that CRIU does not know (" + kind + ")",
          "close it for the checkpoint");
  }

  /// Worth knowing and no obstacle: by the time of the dump it may have been accepted, or others may have come. Workers
  /// that share a listener have one queue.
  void check_listener(const OpenFile& file, const SocketFacts& socket) {
    if (socket.unaccepted == 0 || is_given("--skip-in-flight") || !waited_at_.insert(file.inode).second) return;
    const bool one = socket.unaccepted == 1;
    add(Severity::note, "listener " + std::to_string(file.inode), file.fd,
        "has " + std::to_string(socket.unaccepted) + (one ? " connection" : " connections") + " at its listener " +
            socket.local + (one ? " that is" : " that are") + " not accepted yet",
        "CRIU can't save those: a checkpoint that meets one is tried again (in_flight_retries), or skips it "
        "(skip_in_flight)");
  }

  void check_unix(const OpenFile& file, const SocketFacts& socket) {
    if (socket.peer == 0 || sockets_.contains(socket.peer) || allows_external("unix")) return;
    const std::string where = socket.peer_name.empty() ? "" : " (" + socket.peer_name + ")";
    if (socket.type == SOCK_DGRAM && !socket.peer_name.empty()) {
      return need("--ext-unix-sk", 'x', file.fd, "sends datagrams to a unix socket outside of the tree" + where, true);
    }
    fatal(
        "unix", file.fd, "has a unix socket whose other end is outside of the tree" + where,
        "CRIU can't dump half of it: end that connection (output to a file instead of a log daemon), or make both ends "
        "members of one tree");
  }

  void check_map(const MappedFile& map) {
    if (map.path.starts_with("/SYSV")) {
      if (!process_->shares_ipc) return;
      return fatal("sysv", -1, "uses System V shared memory (" + map.path + ") and has no IPC namespace of its own",
                   "start it in one: unshare --ipc");
    }
    if (map.path.find("io_uring]") != std::string::npos) {
      return fatal("io_uring", -1, "uses io_uring", "CRIU can't dump it: switch it off in the application");
    }
    const bool of_memory = map.path.starts_with("/memfd:") || map.path.starts_with("/dev/zero") ||
                           map.path.starts_with("/anon_hugepage") || map.path.starts_with("/[aio]") ||
                           map.path.starts_with("/drm");
    if (map.path.starts_with("/") && !of_memory && map.looked_at) check_unlinked(map.path, map.links, map.bytes, -1);
  }

  void check_unlinked(const std::string& path, std::uint64_t links, std::uint64_t bytes, int fd) {
    if (!path.ends_with(kDeleted) || path.starts_with("/memfd:")) return;
    if (links > 0) {
      return need("--link-remap", 0, fd, "has " + path + " open, which still has another name", false);
    }
    const std::uint64_t limit = given_ghost_limit().value_or(kGhostLimit);
    if (bytes <= limit) return;
    const std::string what = "has an unlinked file of " + std::to_string(bytes / kMiB + 1) + " MiB open (" + path + ")";
    if (given_ghost_limit()) {
      return fatal("ghost", fd, what, "raise --ghost-limit in criu_options: it is " + std::to_string(limit) + " bytes");
    }
    // One limit for all of them, with room to grow until everything is frozen.
    const std::uint64_t wanted = (bytes / kMiB + 1) * 2 * kMiB;
    add(Severity::option, "ghost " + path, fd, what, "CRIU needs --ghost-limit",
        {"--ghost-limit", std::to_string(wanted)});
  }

  /// What the user allows; CRIU takes K, M and G.
  [[nodiscard]] std::optional<std::uint64_t> given_ghost_limit() const {
    for (std::size_t i = 0; i < given_.size(); ++i) {
      std::string_view word = given_[i];
      if (word.substr(0, word.find('=')) != "--ghost-limit") continue;
      if (const std::size_t at = word.find('='); at != std::string_view::npos) {
        word.remove_prefix(at + 1);
      } else if (i + 1 < given_.size()) {
        word = given_[i + 1];
      }
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (error != std::errc{}) return kUnlimited;  // CRIU will say what is wrong with it
      const char unit = end != word.data() + word.size() ? *end : 0;
      return value << (unit == 'K' || unit == 'k'   ? 10U
                       : unit == 'M' || unit == 'm' ? 20U
                       : unit == 'G' || unit == 'g' ? 30U
                                                    : 0U);
    }
    return std::nullopt;
  }

  const TreeFacts& tree_;
  const std::vector<std::string>& given_;
  std::set<pid_t> pids_;
  std::set<std::uint64_t> sockets_;
  std::set<unsigned> ptys_;
  std::set<std::uint64_t> waited_at_;  ///< listeners that have been told of
  const ProcessFacts* process_ = nullptr;
  std::set<std::string> said_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::fatal: return "fatal";
    case Severity::option: return "option";
    case Severity::note: return "note";
  }
  return "?";
}

std::string Finding::text() const {
  if (pid == 0) return what + "; " + remedy;
  return "process " + std::to_string(pid) + (process.empty() ? "" : " (" + process + ")") +
         (fd < 0 ? "" : ", descriptor " + std::to_string(fd)) + ": " + what + "; " + remedy;
}

std::vector<Finding> examine(const TreeFacts& tree, const std::vector<std::string>& given) {
  return Examination(tree, given).run();
}

std::vector<std::string> options_of(const std::vector<Finding>& findings, bool on_restore) {
  std::vector<std::string> options;
  std::uint64_t ghost = 0;
  for (const Finding& finding : findings) {
    if (finding.options.empty() || (on_restore && !finding.on_restore)) continue;
    if (finding.options.front() == "--ghost-limit") {
      ghost = std::max<std::uint64_t>(ghost, std::stoull(finding.options.back()));
    } else if (std::ranges::find(options, finding.options.front()) == options.end()) {
      options.push_back(finding.options.front());
    }
  }
  if (ghost != 0) options.insert(options.end(), {"--ghost-limit", std::to_string(ghost)});
  return options;
}

bool any_fatal(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& finding) { return finding.severity == Severity::fatal; });
}

}  // namespace lockstep::cli
