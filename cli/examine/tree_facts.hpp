/// What is known of a live process tree: read by cli/scan, judged by examine(). Plain data.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::cli {

enum class FileKind : std::uint8_t { regular, directory, character, block, fifo, socket, anonymous, other };

struct SocketFacts {
  int family = 0;  ///< AF_…
  int type = 0;    ///< SOCK_…
  int protocol = 0;
  /// Unix sockets: the other end's inode, 0 where there is none or it is not known.
  std::uint64_t peer = 0;
  std::string peer_name;  ///< its path; abstract ones begin with '@'
  // TCP listeners:
  std::string local = {};        ///< "10.0.0.1:80"; empty: no listener
  std::uint32_t unaccepted = 0;  ///< connections that wait in its queue
};

struct OpenFile {
  int fd = -1;
  std::string path;  ///< as /proc shows it: "/etc/passwd", "anon_inode:[eventpoll]", "socket:[123]"
  FileKind kind = FileKind::other;
  std::uint64_t inode = 0;
  std::uint64_t links = 1;
  std::uint64_t bytes = 0;    ///< on the disk
  unsigned device_major = 0;  ///< of a device
  unsigned device_minor = 0;
  bool locked = false;                  ///< a file lock or lease is held through it
  std::optional<unsigned> pty_of = {};  ///< a pty's master: the number of its slave
  std::optional<SocketFacts> socket = {};
};

struct MappedFile {
  std::string path;
  std::uint64_t links = 1;
  std::uint64_t bytes = 0;
  bool looked_at = true;  ///< links and bytes are known
};

struct Limit {
  std::string name;  ///< as in /proc/PID/limits: "Max open files"
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  bool operator==(const Limit&) const = default;
};
inline constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

struct ProcessFacts {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  std::string name;
  pid_t tracer = 0;
  bool shares_ipc = false;     ///< its IPC namespace is CRIU's own
  bool limits_hidden = false;  ///< CRIU can't read its limits: another user's, and CRIU lacks CAP_SYS_RESOURCE
  std::vector<OpenFile> files;
  std::vector<MappedFile> maps;  ///< of files, each once
  std::vector<Limit> limits;
};

/// A process that belongs together with the tree and is not in it.
struct Outsider {
  pid_t pid = 0;
  std::string name;
  std::string why;  ///< "is in the session of process 12"
};

struct TreeFacts {
  pid_t root = 0;
  std::vector<ProcessFacts> processes;  ///< the root first
  std::vector<Outsider> outsiders;
  /// What CRIU, a child of ours, may do itself.
  bool may_raise_limits = true;
  std::vector<Limit> own_limits;
};

}  // namespace lockstep::cli
