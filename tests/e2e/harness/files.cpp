#include "tests/e2e/harness/files.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace lockstep::e2e {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "lockstep-e2e.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) throw std::system_error(errno, std::generic_category(), "write " + path.string());
}

std::string tail_of(const std::filesystem::path& path, std::size_t lines) {
  const std::string text = read_file(path);
  std::size_t at = text.size();
  while (at > 0 && lines > 0) {
    const auto newline = text.rfind('\n', at - (at == text.size() && text.back() == '\n' ? 2 : 1));
    if (newline == std::string::npos) return text;
    at = newline;
    --lines;
  }
  return text.substr(at < text.size() && text[at] == '\n' ? at + 1 : at);
}

}  // namespace lockstep::e2e
