/// A folder that holds what an archive of Podman's would (images_archive.hpp): unpacked, so that it can be looked into,
/// copied file by file, and kept on a file system that saves what has not changed.
///
/// Podman itself knows archives alone. A checkpoint is exported to one beside the folder and unpacked there; only when
/// the round is committed does it take the folder's place, in one step. A restore packs the folder and imports that.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace lockstep::cli {

/// Within the temporary folder beside it: the archive, and what has been unpacked of it.
inline constexpr std::string_view kExportArchive = "export.tar";
inline constexpr std::string_view kExportImages = "images";

/// Where in the temporary folder Podman's archive is, of an export to `images`: a folder or an archive.
[[nodiscard]] std::string staged_archive(const std::string& staging, const std::string& images);

/// Whether a container's "images" are such a folder: no archive, and not Podman's own place.
[[nodiscard]] bool names_export_folder(std::string_view images);
/// Whether the folder holds a container's exported checkpoint.
[[nodiscard]] bool holds_export(const std::string& folder);

/// Before a dump: whether an export may take this folder's place. What is there has to be nothing, or an earlier
/// export, since it is going to be removed as a whole. Makes the folder above it.
[[nodiscard]] Result<void> check_export_place(const std::string& folder);

/// Puts what has been unpacked in `staging` in the folder's place, and what was there into `staging`. All of it has
/// reached the disk before.
[[nodiscard]] Result<void> put_export_in_place(const std::string& staging, const std::string& folder);
/// The same for an export that is to be an archive.
[[nodiscard]] Result<void> put_archive_in_place(const std::string& staging, const std::string& archive);

}  // namespace lockstep::cli
