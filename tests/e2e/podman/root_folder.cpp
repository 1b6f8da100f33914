#include "tests/e2e/podman/root_folder.hpp"

#include <sstream>

#include "tests/e2e/harness/process.hpp"

namespace lockstep::e2e {
namespace {

namespace fs = std::filesystem;

/// The paths in ldd's answer; none for a file that is linked statically, or not at all.
std::vector<fs::path> libraries_of(const fs::path& program) {
  std::vector<fs::path> found;
  std::istringstream words(run_command({"ldd", program}).out);
  for (std::string word; words >> word;) {
    if (word.starts_with('/') && !word.ends_with(':')) found.emplace_back(word);
  }
  return found;
}

void bring(const fs::path& from, const fs::path& root) {
  const fs::path to = root / from.relative_path();
  fs::create_directories(to.parent_path());
  if (fs::is_directory(from)) {
    must_run({"cp", "-rL", from, to.parent_path()});
  } else {
    fs::copy_file(from, to, fs::copy_options::skip_existing);
  }
}

}  // namespace

void make_root_folder(const fs::path& root, const std::vector<std::string>& contents) {
  for (const char* folder : {"dev", "etc", "proc", "run", "sys", "tmp", "shop"}) fs::create_directories(root / folder);
  for (const fs::path each : contents) {
    bring(each, root);
    if (fs::is_directory(each)) continue;
    for (const fs::path& library : libraries_of(each)) bring(library, root);
  }
}

}  // namespace lockstep::e2e
