#include "tests/e2e/apps/client/ledger_file.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace lockstep::apps {

LedgerFile::LedgerFile(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644)) {
  if (!file_) throw std::system_error(errno, std::generic_category(), "open " + path);
}

void LedgerFile::append(std::uint32_t connection, std::uint32_t sequence) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const LedgerEntry entry{connection, sequence, std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000};
  if (::write(file_.get(), &entry, sizeof entry) != sizeof entry) {
    throw std::system_error(errno, std::generic_category(), "write " + path_);
  }
}

}  // namespace lockstep::apps
