/// CRIU's image files: one or two magic words, then protobuf entries, each behind its size (criu/image.c:
/// img_check_magic(), criu/protobuf.c: pb_write_one()). All words are in the machine's own byte order, because CRIU
/// reads only images of its own architecture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::images {

// criu/include/magic.h
inline constexpr std::uint32_t kCommonMagic = 0x54564319;     ///< in front of the other one, since image version 1.1
inline constexpr std::uint32_t kInventoryMagic = 0x58313116;  ///< stands alone
inline constexpr std::uint32_t kFilesMagic = 0x56303138;
inline constexpr std::uint32_t kInetSocketsMagic = 0x56443851;
inline constexpr std::uint32_t kTcpStreamMagic = 0x51465506;
inline constexpr std::uint32_t kPstreeMagic = 0x50273030;
inline constexpr std::uint32_t kCoreMagic = 0x55053847;
inline constexpr std::uint32_t kIdsMagic = 0x54432030;
inline constexpr std::uint32_t kFdinfoMagic = 0x56213732;
inline constexpr std::uint32_t kTimensMagic = 0x43114433;

/// The largest entry that is read. CRIU has no limit; its largest, an epoll of 100,000 files, takes some 4 MiB.
inline constexpr std::uint32_t kMaxEntry = 64U << 20U;

/// Reads an image from its beginning. Nothing is allocated for an entry that the file is too short to hold. Every
/// error names the file; those of a damaged file are `invalid`.
class ImageFile {
 public:
  /// Opens a file and checks its magic words. not_found when it does not exist.
  [[nodiscard]] static Result<ImageFile> open(const std::string& path, std::uint32_t magic);

  /// The next entry's bytes, valid until the next call; nothing at the end of the file.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  /// Bytes of the file behind the last entry that was read.
  [[nodiscard]] std::uint64_t remaining() const { return left_ + (buffer_.size() - used_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// An error about this file's content.
  [[nodiscard]] Failure damaged(const std::string& why) const;

 private:
  ImageFile(std::string path, Fd file, std::uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), left_(size) {}

  [[nodiscard]] Result<std::string_view> take(std::size_t count);
  [[nodiscard]] Result<std::uint32_t> take_word();
  [[nodiscard]] Result<void> check_magic(std::uint32_t magic);

  std::string path_;
  Fd file_;
  std::uint64_t left_;  ///< of the file, not yet in the buffer
  std::string buffer_;
  std::size_t used_ = 0;  ///< of the buffer
};

}  // namespace lockstep::images
