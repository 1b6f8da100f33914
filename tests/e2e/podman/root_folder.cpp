#include "tests/e2e/podman/root_folder.hpp"

#include <sstream>

#include "tests/e2e/harness/process.hpp"

namespace lockstep::e2e {
namespace {

namespace fs = std::filesystem;

/// The paths in ldd's answer; none for a program that is linked statically.
std::vector<fs::path> libraries_of(const std::string& program) {
  std::vector<fs::path> found;
  std::istringstream words(run_command({"ldd", program}).out);
  for (std::string word; words >> word;) {
    if (word.starts_with('/') && !word.ends_with(':')) found.emplace_back(word);
  }
  return found;
}

void bring(const fs::path& from, const fs::path& to) {
  fs::create_directories(to.parent_path());
  fs::copy_file(from, to, fs::copy_options::skip_existing);
}

}  // namespace

void make_root_folder(const fs::path& root, const std::vector<std::string>& programs) {
  for (const char* folder : {"dev", "etc", "proc", "run", "sys", "tmp", "shop"}) fs::create_directories(root / folder);
  for (const std::string& program : programs) {
    bring(program, root / "usr/bin" / fs::path(program).filename());
    for (const fs::path& library : libraries_of(program)) bring(library, root / library.relative_path());
  }
}

}  // namespace lockstep::e2e
