#include "cli/images/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace lockstep::images {
namespace {

/// What is read at once: a tcp-stream image's entry, and few bytes of its queues, which nobody looks at.
constexpr std::size_t kChunk = 4096;

}  // namespace

Failure ImageFile::damaged(const std::string& why) const { return fail(ErrorCode::invalid, path_, why); }

Result<ImageFile> ImageFile::open(const std::string& path, std::uint32_t magic) {
  // O_NONBLOCK: a FIFO by that name must not keep us waiting. It changes nothing for a regular file.
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::system;
    return Failure(Error{code, errno, "open " + path, {}});
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return fail_errno("fstat " + path);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::invalid, path, "is no regular file");
  ImageFile image(path, std::move(file), static_cast<std::uint64_t>(info.st_size));
  if (auto checked = image.check_magic(magic); !checked) return Failure(checked.error());
  return image;
}

Result<std::string_view> ImageFile::take(std::size_t count) {
  if (count > remaining()) return damaged("is cut off");
  if (buffer_.size() - used_ < count) {
    buffer_.erase(0, used_);
    used_ = 0;
    const auto end = static_cast<std::size_t>(std::min<std::uint64_t>(remaining(), std::max(count, kChunk)));
    while (buffer_.size() < end) {
      const std::size_t before = buffer_.size();
      buffer_.resize(end);
      const ssize_t got = TEMP_FAILURE_RETRY(::read(file_.get(), buffer_.data() + before, end - before));
      const int error = errno;
      buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0) return Failure(Error{ErrorCode::system, error, "read " + path_, {}});
      if (got == 0) return damaged("has become shorter while it was read");
      left_ -= static_cast<std::uint64_t>(got);
    }
  }
  const std::string_view bytes = std::string_view(buffer_).substr(used_, count);
  used_ += count;
  return bytes;
}

Result<std::uint32_t> ImageFile::take_word() {
  const auto bytes = take(sizeof(std::uint32_t));
  if (!bytes) return Failure(bytes.error());
  std::uint32_t word = 0;
  std::memcpy(&word, bytes->data(), sizeof word);
  return word;
}

Result<void> ImageFile::check_magic(std::uint32_t magic) {
  auto word = take_word();
  if (word && *word == kCommonMagic) word = take_word();
  if (!word) return Failure(word.error());
  if (*word == __builtin_bswap32(kCommonMagic)) return damaged("comes from a machine of another byte order");
  if (*word != magic) return damaged("is not the image of CRIU that its name promises");
  return {};
}

Result<std::optional<std::string_view>> ImageFile::next() {
  if (remaining() == 0) return std::optional<std::string_view>();
  const auto size = take_word();
  if (!size) return Failure(size.error());
  if (*size > kMaxEntry) return damaged("has an entry of " + std::to_string(*size) + " bytes, more than CRIU writes");
  const auto bytes = take(*size);
  if (!bytes) return Failure(bytes.error());
  return std::optional<std::string_view>(*bytes);
}

}  // namespace lockstep::images
