#include "common/netns.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdlib>

namespace lockstep {
namespace {

/// Opens `path` and makes sure that setns() will take it for a network namespace.
Result<Fd> open_checked(const std::string& path) {
  // Only looked at first: to open a FIFO for reading waits for a writer, and a device may do anything.
  const Fd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place) {
    const bool missing = errno == ENOENT || errno == ESRCH;
    auto failure = fail_errno("open " + path);
    if (missing) failure.value().code = ErrorCode::not_found;
    return failure;
  }
  // nsfs first: on other files the ioctl's number could mean anything.
  struct statfs filesystem {};
  if (::fstatfs(place.get(), &filesystem) < 0) return fail_errno("fstatfs " + path);
  if (filesystem.f_type != NSFS_MAGIC) return fail(ErrorCode::invalid, "open " + path, "not a network namespace");
  Fd netns(::open(("/proc/self/fd/" + std::to_string(place.get())).c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns) return fail_errno("open " + path + " by way of /proc/self/fd");
  if (::ioctl(netns.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return fail(ErrorCode::invalid, "open " + path, "not a network namespace");
  return netns;
}

}  // namespace

Result<Fd> open_netns_of(pid_t pid) { return open_checked("/proc/" + std::to_string(pid) + "/ns/net"); }

Result<Fd> open_netns(const std::string& path) { return open_checked(path); }

Result<std::uint64_t> netns_inode(const Fd& netns) {
  struct stat status {};
  if (::fstat(netns.get(), &status) < 0)
    return fail_errno("fstat of network namespace fd " + std::to_string(netns.get()));
  return static_cast<std::uint64_t>(status.st_ino);
}

Result<std::string> boot_id() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const Fd file(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(std::string("open ") + kPath);
  std::string text(64, '\0');
  const ssize_t length = ::read(file.get(), text.data(), text.size());
  if (length < 0) return fail_errno(std::string("read ") + kPath);
  text.resize(static_cast<std::size_t>(length));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) return fail(ErrorCode::invalid, std::string("read ") + kPath, "empty");
  return text;
}

Result<NetnsScope> NetnsScope::enter(const Fd& netns) {
  // thread-self, not self: another thread of this process may be in a scope of its own.
  Fd previous(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!previous) return fail_errno("open /proc/thread-self/ns/net");
  // Where we are already: a sidecar, which may do without CAP_SYS_ADMIN.
  struct stat here {};
  struct stat there {};
  if (::fstat(previous.get(), &here) == 0 && ::fstat(netns.get(), &there) == 0 && here.st_dev == there.st_dev &&
      here.st_ino == there.st_ino) {
    return NetnsScope(Fd());
  }
  if (::setns(netns.get(), CLONE_NEWNET) < 0)
    return fail_errno("setns fd " + std::to_string(netns.get()) + " CLONE_NEWNET", "needs CAP_SYS_ADMIN");
  return NetnsScope(std::move(previous));
}

NetnsScope::~NetnsScope() {
  if (!previous_) return;
  if (::setns(previous_.get(), CLONE_NEWNET) == 0) return;
  spdlog::critical("setns fd {} CLONE_NEWNET, the way back: {}", previous_.get(), std::strerror(errno));
  std::abort();
}

}  // namespace lockstep
