#include "cli/export_folder.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "cli/images_archive.hpp"
#include "common/fd.hpp"

namespace lockstep::cli {
namespace {

Failure not_replaceable(const std::string& folder, const std::string& why) {
  return fail(ErrorCode::conflict, folder, why + "; name another folder by \"images\"");
}

}  // namespace

std::string staged_archive(const std::string& staging, const std::string& images) {
  const std::string name =
      names_export_folder(images) ? std::string(kExportArchive) : std::filesystem::path(images).filename().string();
  return staging + "/" + name;
}

bool names_export_folder(std::string_view images) { return !images.empty() && compression_of(images).empty(); }

bool holds_export(const std::string& folder) {
  std::error_code ignored;
  return std::filesystem::is_directory(folder + "/" + std::string(kArchivedImages), ignored) &&
         std::filesystem::is_regular_file(folder + "/" + std::string(kArchivedConfig), ignored);
}

Result<void> check_export_place(const std::string& folder) {
  struct stat here {};
  struct stat above {};
  const std::string parent = std::filesystem::path(folder).parent_path();
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) return fail(ErrorCode::system, "make folder " + parent, error.message());
  if (::stat(parent.c_str(), &above) != 0) return fail_errno("stat " + parent);
  if (::lstat(folder.c_str(), &here) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("stat " + folder);
  }
  if (!S_ISDIR(here.st_mode)) return not_replaceable(folder, "is no folder");
  if (here.st_dev != above.st_dev) {
    return not_replaceable(folder, "is a file system of its own, and can't be replaced in one step");
  }
  const bool empty = std::filesystem::is_empty(folder, error);
  if (error) return fail(ErrorCode::system, "list " + folder, error.message());
  if (empty || holds_export(folder)) return {};
  return not_replaceable(folder, "holds something else than a container's checkpoint, which would be removed");
}

Result<void> put_export_in_place(const std::string& staging, const std::string& folder) {
  const std::string fresh = staging + "/" + std::string(kExportImages);
  const Fd opened(::open(fresh.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::syncfs(opened.get()) != 0) return fail_errno("syncfs " + fresh);
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EEXIST) return fail_errno("rename " + fresh + " to " + folder);
  // Looked at again: somebody may have put something there since.
  if (auto fit = check_export_place(folder); !fit) return fit;
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) return {};
  return fail_errno("exchange " + fresh + " and " + folder);
}

Result<void> put_archive_in_place(const std::string& staging, const std::string& archive) {
  const std::string fresh = staged_archive(staging, archive);
  const Fd file(::open(fresh.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) return fail_errno("fsync " + fresh);
  if (::rename(fresh.c_str(), archive.c_str()) != 0) return fail_errno("rename " + fresh + " to " + archive);
  const std::string parent = std::filesystem::path(archive).parent_path();
  const Fd folder(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return fail_errno("fsync " + parent);
  return {};
}

}  // namespace lockstep::cli
