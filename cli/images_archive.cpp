#include "cli/images_archive.hpp"

#include <stdlib.h>

#include <array>
#include <filesystem>
#include <utility>
#include <vector>

#include "cli/criu_process.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kUnpackLimit{600'000};

/// Images that nothing before a restore reads, by the beginnings of their names.
constexpr std::array<std::string_view, 3> kLargeImages{"pages-", "ghost-file-", "tmpfs-"};

}  // namespace

Result<TempFolder> TempFolder::make() {
  const char* const set = ::getenv("TMPDIR");
  std::string name = std::string(set != nullptr && *set != '\0' ? set : "/tmp") + "/lockstep.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return fail_errno("make folder " + name);
  return TempFolder(std::move(name));
}

TempFolder::TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  std::swap(path_, other.path_);
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
