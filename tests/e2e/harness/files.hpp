/// Files of the tests: a folder that goes away with its owner, and reading and writing in one go.
#pragma once

#include <filesystem>
#include <string>

namespace lockstep::e2e {

/// A new, empty folder, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The file's text; empty when there is no such file.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);
/// The last `lines` lines of a file.
[[nodiscard]] std::string tail_of(const std::filesystem::path& path, std::size_t lines);

}  // namespace lockstep::e2e
