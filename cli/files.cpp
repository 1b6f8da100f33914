#include "cli/files.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/fd.hpp"

namespace lockstep::cli {
namespace {

Failure fail_open(const std::string& path) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::system;
  return Failure(Error{code, errno, "open " + path, {}});
}

/// Reads until the end, or one byte more than `limit`. (Files of /proc have no size to ask for.)
Result<std::string> read_up_to(const Fd& file, const std::string& path, std::size_t limit) {
  std::string content;
  constexpr std::size_t kStep = 65536;
  while (content.size() <= limit) {
    const std::size_t before = content.size();
    content.resize(before + std::min(kStep, limit + 1 - before));
    const ssize_t got = TEMP_FAILURE_RETRY(::read(file.get(), content.data() + before, content.size() - before));
    if (got < 0) return fail_errno("read " + path);
    content.resize(before + static_cast<std::size_t>(got));
    if (got == 0) break;
  }
  return content;
}

Result<void> write_all(const Fd& file, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = TEMP_FAILURE_RETRY(::write(file.get(), content.data(), content.size()));
    if (put < 0) return fail_errno("write " + path);
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(file.get()) != 0) return fail_errno("fsync " + path);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_open(path);
  auto content = read_up_to(file, path, limit);
  if (content && content->size() > limit) {
    return fail(ErrorCode::invalid, "read " + path, "is longer than " + std::to_string(limit) + " bytes");
  }
  return content;
}

Result<std::string> read_tail(const std::string& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_open(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail_errno("fstat " + path);
  const off_t start = std::max<off_t>(0, info.st_size - static_cast<off_t>(limit));
  if (::lseek(file.get(), start, SEEK_SET) < 0) return fail_errno("lseek " + path);
  auto content = read_up_to(file, path, limit);
  if (content && content->size() > limit) content->resize(limit);  // it has grown meanwhile
  return content;
}

Result<void> replace_file(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";
  const Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return fail_errno("create " + temporary);
  auto written = write_all(file, temporary, content);
  // mkostemp makes it 0600; a pidfile is for everybody.
  if (written && ::fchmod(file.get(), 0644) != 0) written = fail_errno("fchmod " + temporary);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = fail_errno("rename " + temporary + " to " + path);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink " + path);
  return {};
}

}  // namespace lockstep::cli
