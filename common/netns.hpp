/// Network namespaces: naming them, opening them, and going into one and back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/fd.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"

namespace lockstep {

/// Opens /proc/PID/ns/net. not_found when the process is gone.
[[nodiscard]] Result<Fd> open_netns_of(pid_t pid);
/// Opens a path to a network namespace (/run/netns/NAME, /proc/PID/ns/net) and checks that it is one.
[[nodiscard]] Result<Fd> open_netns(const std::string& path);
/// The namespace's inode, which /proc/PID/ns/net shows as net:[INODE].
[[nodiscard]] Result<std::uint64_t> netns_inode(const Fd& netns);
/// This machine's /proc/sys/kernel/random/boot_id, without the newline.
[[nodiscard]] Result<std::string> boot_id();

/// Moves the calling thread into a namespace for the scope's life. setns() is per thread; a thread that could not
/// switch back would do its next work in a stranger's pod, so a failed switch back ends the process. Where the thread is
/// there already nothing is switched: a sidecar does without CAP_SYS_ADMIN.
class NetnsScope {
 public:
  [[nodiscard]] static Result<NetnsScope> enter(const Fd& netns);
  NetnsScope(NetnsScope&&) = default;
  NetnsScope& operator=(NetnsScope&&) = delete;
  ~NetnsScope();

 private:
  explicit NetnsScope(Fd previous) : previous_(std::move(previous)) {}
  Fd previous_;
};

}  // namespace lockstep
