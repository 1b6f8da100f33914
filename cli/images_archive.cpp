#include "cli/images_archive.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>
#include <vector>

#include "cli/criu_process.hpp"
#include "cli/export_folder.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kUnpackLimit{600'000};

/// Images that nothing before a restore reads, by the beginnings of their names.
constexpr std::array<std::string_view, 3> kLargeImages{"pages-", "ghost-file-", "tmpfs-"};

/// Behind the path that a temporary folder is beside.
constexpr std::string_view kBeside = ".lockstep.";
constexpr std::string_view kRandom = "XXXXXX";

/// Holds the folder for this process; empty when another one does.
Fd lock_folder(const std::string& path) {
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder && ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) folder.reset();
  return folder;
}

void remove_abandoned(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::string begin = path.filename().string() + std::string(kBeside);
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(begin) || name.size() != begin.size() + kRandom.size()) continue;
    if (const Fd held = lock_folder(entry.path())) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

Result<TempFolder> TempFolder::make() {
  const char* const set = ::getenv("TMPDIR");
  std::string name = std::string(set != nullptr && *set != '\0' ? set : "/tmp") + "/lockstep.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return fail_errno("make folder " + name);
  return TempFolder(std::move(name));
}

Result<TempFolder> TempFolder::make_beside(const std::string& path) {
  remove_abandoned(path);
  std::string name = path + std::string(kBeside) + std::string(kRandom);
  if (::mkdtemp(name.data()) == nullptr) return fail_errno("make folder " + name);
  TempFolder folder(std::move(name));
  folder.lock_ = lock_folder(folder.path_);
  if (!folder.lock_) return fail_errno("lock folder " + folder.path_);
  return folder;
}

TempFolder::TempFolder(TempFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string_view compression_of(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSuffixes{
      {{".tar", "none"}, {".tar.gz", "gzip"}, {".tar.zst", "zstd"}}};
  for (const auto& [suffix, word] : kSuffixes) {
    if (path.ends_with(suffix)) return word;
  }
  return {};
}

bool is_archive_name(std::string_view path) {
  constexpr std::array<std::string_view, 11> kEndings{".tar", ".gz",   ".zst", ".tgz", ".tzst", ".bz2",
                                                      ".tbz", ".tbz2", ".xz",  ".txz", ".zip"};
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return path.ends_with(ending); });
}

Result<TempFolder> unpack_images(const std::string& archive) {
  if (!std::filesystem::exists(archive)) return fail(ErrorCode::not_found, archive, "there is no such archive");
  auto folder = TempFolder::make();
  if (!folder) return folder;
  std::vector<std::string> tar{"tar", "--extract", "--no-same-owner", "--file", archive, "--directory", folder->path()};
  for (const std::string_view name : kLargeImages) {
    tar.push_back("--exclude=" + std::string(kArchivedImages) + "/" + std::string(name) + "*");
  }
  tar.insert(tar.end(), {std::string(kArchivedImages), std::string(kArchivedConfig), std::string(kArchivedSpec)});
  const auto printed = run_program(tar, kUnpackLimit);
  if (!printed) return fail_from(printed.error(), archive);
  if (!printed->exit.ok()) {
    return fail(ErrorCode::invalid, archive,
                "is no checkpoint that Podman has exported: " + printed->output.substr(0, printed->output.find('\n')));
  }
  return folder;
}

Result<OpenedImages> open_images(const std::string& path) {
  if (holds_export(path)) return OpenedImages{path + "/" + std::string(kArchivedImages), {}};
  if (compression_of(path).empty() || std::filesystem::is_directory(path)) return OpenedImages{path, {}};
  auto unpacked = unpack_images(path);
  if (!unpacked) return Failure(unpacked.error());
  std::string folder = unpacked->path() + "/" + std::string(kArchivedImages);
  return OpenedImages{std::move(folder), std::move(*unpacked)};
}

Result<std::vector<OpenedImages>> open_all_images(const std::vector<std::string>& paths) {
  std::vector<OpenedImages> all;
  for (const std::string& path : paths) {
    auto opened = open_images(path);
    if (!opened) return Failure(opened.error());
    all.push_back(std::move(*opened));
  }
  return all;
}

}  // namespace lockstep::cli
