#include "agent/hook/record_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <utility>

#include "agent/hook/proc_files.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook {
namespace {

constexpr std::size_t kTextLimit = std::size_t{64} << 10;

Result<void> write_all(const Fd& fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write " + name);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

/// CRIU names the folder as /proc/PID/fd/N; errors should name it as people do.
std::string real_path(const Fd& dir, const std::string& path) {
  std::array<char, 512> target;  // not cleared: only what readlink() fills is looked at
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(dir.get())).c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : path;
}

}  // namespace

// The names are literals, so that their views end in a null byte.

Result<ImagesFolder> ImagesFolder::open(const std::string& path) {
  Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("open images folder " + path);
  std::string name = real_path(dir, path);
  return ImagesFolder(std::move(dir), std::move(name));
}

ImagesFolder::ImagesFolder(ImagesFolder&& other) noexcept
    : dir_(std::move(other.dir_)), path_(std::move(other.path_)), stored_(std::exchange(other.stored_, false)) {}

Result<std::string> ImagesFolder::read(std::string_view name, std::size_t limit) const {
  // O_NONBLOCK: a fifo in its place must not hold the hook.
  const Fd fd(::openat(dir_.get(), name.data(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::string();
  if (!fd) return fail_errno("open " + full(name));
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return fail_errno("stat " + full(name));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid, "read " + full(name), "not a regular file");
  return read_all(fd, full(name), limit);
}

Result<std::string> ImagesFolder::read_text(std::string_view name) const { return read(name, kTextLimit); }

Result<std::string> ImagesFolder::read_record(std::size_t limit) const { return read(kRecordFile, limit); }

Result<void> ImagesFolder::check_writable() const {
  if (::faccessat(dir_.get(), ".", W_OK | X_OK, AT_EACCESS) == 0) return {};
  return fail_errno("write to images folder " + path_, "the record of this checkpoint could not be left there");
}

Result<void> ImagesFolder::remove(std::string_view name) const {
  if (::unlinkat(dir_.get(), name.data(), 0) == 0 || errno == ENOENT) return {};
  return fail_errno("unlink " + full(name), "remove it by hand");
}

Result<void> ImagesFolder::remove_old() {
  if (auto done = remove(kRecordPartFile); !done) return done;
  return remove(kRecordFile);
}

Result<void> ImagesFolder::store(std::string_view bytes) {
  if (auto done = remove(kRecordPartFile); !done) return done;
  stored_ = true;  // from here on there may be something to remove
  auto written = write_part(bytes);
  if (!written) discard();
  return written;
}

/// Without fsync(): CRIU does not sync its images either, it would be paid while tasks are frozen, and the record's
/// checksum tells a torn one. The rename makes it whole or absent for whoever looks while the machine runs.
Result<void> ImagesFolder::write_part(std::string_view bytes) const {
  const std::string name = full(kRecordPartFile);
  Fd fd(::openat(dir_.get(), kRecordPartFile.data(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create " + name);
  if (auto done = write_all(fd, bytes, name); !done) return done;
  // Network file systems tell only here that there was no room.
  if (::close(fd.release()) < 0) return fail_errno("close " + name);
  return {};
}

Result<void> ImagesFolder::commit() {
  if (!stored_) return fail(ErrorCode::invalid, "commit " + full(kRecordFile), "no record has been stored");
  if (::renameat(dir_.get(), kRecordPartFile.data(), dir_.get(), kRecordFile.data()) < 0) {
    return fail_errno("rename " + full(kRecordPartFile) + " to " + std::string(kRecordFile));
  }
  stored_ = false;
  return {};
}

void ImagesFolder::discard() {
  if (!std::exchange(stored_, false)) return;
  // A failure changes nothing: a part file is never read.
  static_cast<void>(::unlinkat(dir_.get(), kRecordPartFile.data(), 0));
}

}  // namespace lockstep::hook
