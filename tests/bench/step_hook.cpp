/// lockstep-bench-step: an action script that does the least: it lets the dumps of one measurement begin to freeze at
/// the same moment, and returns at once from every other action. So two dumps compete for the processors as two
/// coordinated ones do, and pay what CRIU pays for any action script, but for no coordination.
///
/// LOCKSTEP_BENCH_STEP names an empty folder. Each pre-dump leaves a file there and waits for the second; 10 s at most.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

namespace {

constexpr int kDumps = 2;

int files_in(const char* path) {
  DIR* dir = ::opendir(path);
  if (dir == nullptr) return 0;
  int files = 0;
  while (const dirent* entry = ::readdir(dir)) files += entry->d_name[0] == '.' ? 0 : 1;
  ::closedir(dir);
  return files;
}

}  // namespace

int main() {
  const char* action = std::getenv("CRTOOLS_SCRIPT_ACTION");
  const char* folder = std::getenv("LOCKSTEP_BENCH_STEP");
  if (action == nullptr || folder == nullptr) return 2;
  if (std::string_view(action) != "pre-dump") return 0;
  const std::string mine = std::string(folder) + "/" + std::to_string(::getpid());
  const int file = ::open(mine.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return 1;
  ::close(file);
  constexpr timespec kPause{0, 100'000};
  for (int i = 0; i < 100'000; ++i) {
    if (files_in(folder) >= kDumps) return 0;
    ::nanosleep(&kPause, nullptr);
  }
  return 1;
}
