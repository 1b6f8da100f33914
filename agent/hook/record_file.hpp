/// The images folder, as far as it is the hook's: the record that ties the images to a round, and who they belong to.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::hook {

/// Holds the folder open, so that every name is looked up in it and nowhere else; no symbolic link is followed. A part
/// file that was stored and not committed is removed by the destructor, however the hook ends (short of SIGKILL; what
/// then stays behind is never read, and is removed by the next dump's prepare()).
class ImagesFolder {
 public:
  /// `path` is CRTOOLS_IMAGE_DIR. Must be a folder.
  [[nodiscard]] static Result<ImagesFolder> open(const std::string& path);
  ImagesFolder(ImagesFolder&& other) noexcept;
  ImagesFolder& operator=(ImagesFolder&&) = delete;
  ~ImagesFolder() { discard(); }

  /// The text of a small file (kMemberFile); empty when there is none.
  [[nodiscard]] Result<std::string> read_text(std::string_view name) const;
  /// The bytes of kRecordFile, at most `limit`; empty when there is none.
  [[nodiscard]] Result<std::string> read_record(std::size_t limit) const;

  /// Fails when files can't be made here, so that it shows before anything is frozen.
  [[nodiscard]] Result<void> check_writable() const;
  /// Removes the record and the part file of an earlier dump: they must never pass for this one's.
  [[nodiscard]] Result<void> remove_old();

  /// Writes kRecordPartFile: whole, or it is not there afterwards. May be repeated; the last one counts.
  [[nodiscard]] Result<void> store(std::string_view bytes);
  [[nodiscard]] bool stored() const { return stored_; }
  /// Gives the part file its final name, in one step. Only after store().
  [[nodiscard]] Result<void> commit();
  /// Removes the part file, if this object has stored one.
  void discard();

 private:
  ImagesFolder(Fd dir, std::string path) : dir_(std::move(dir)), path_(std::move(path)) {}
  [[nodiscard]] std::string full(std::string_view name) const { return path_ + "/" + std::string(name); }
  [[nodiscard]] Result<std::string> read(std::string_view name, std::size_t limit) const;
  [[nodiscard]] Result<void> remove(std::string_view name) const;
  [[nodiscard]] Result<void> write_part(std::string_view bytes) const;

  Fd dir_;
  std::string path_;  ///< for error texts
  bool stored_ = false;
};

}  // namespace lockstep::hook
