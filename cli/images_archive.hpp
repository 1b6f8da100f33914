/// Checkpoints that Podman has exported: a tar file with the images folder and what is needed to make the container
/// anew. Looked into before anything is restored, and without unpacking what may be large.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// A new folder, removed with its owner. Move-only; a default one is none.
class TempFolder {
 public:
  /// In $TMPDIR.
  [[nodiscard]] static Result<TempFolder> make();
  /// Beside the path, on the same file system. Removes those that a killed lockstep has left there.
  [[nodiscard]] static Result<TempFolder> make_beside(const std::string& path);
  TempFolder() = default;
  TempFolder(TempFolder&& other) noexcept;
  TempFolder& operator=(TempFolder&& other) noexcept;
  ~TempFolder();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
  Fd lock_;  ///< beside a path: tells others that its owner lives
};

/// Podman's word for how an archive of this name is compressed: "none" (.tar), "gzip" (.tar.gz), "zstd" (.tar.zst).
/// Empty for every other name.
[[nodiscard]] std::string_view compression_of(std::string_view path);
/// Whether a name is that of an archive, of whichever kind: nobody calls a folder so.
[[nodiscard]] bool is_archive_name(std::string_view path);

/// Inside of an archive, and of what unpack_images() makes: the folder with CRIU's images.
inline constexpr std::string_view kArchivedImages = "checkpoint";
/// Beside it: Podman's description of the container (JSON).
inline constexpr std::string_view kArchivedConfig = "config.dump";
/// And the runtime's (JSON).
inline constexpr std::string_view kArchivedSpec = "spec.dump";

/// Unpacks the images and the container's descriptions, without memory pages, deleted files and temporary file systems:
/// enough to read the record and to prove the cut. Runs tar, for as long as reading the archive takes, at most 10 min.
[[nodiscard]] Result<TempFolder> unpack_images(const std::string& archive);

/// A place that a user has named as images: CRIU's folder, one that holds a container's export (export_folder.hpp), or
/// an archive that has been unpacked.
struct OpenedImages {
  std::string folder;
  TempFolder unpacked;  ///< owns `folder`, where it was an archive
};
[[nodiscard]] Result<OpenedImages> open_images(const std::string& path);
[[nodiscard]] Result<std::vector<OpenedImages>> open_all_images(const std::vector<std::string>& paths);

}  // namespace lockstep::cli
