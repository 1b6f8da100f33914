/// The ledger of a client: what has been acknowledged to it, one entry after the other, in a file of its own. Whoever
/// judges the application reads it (tests/e2e/apps/ledger.hpp). ring.c writes the same.
#pragma once

#include <cstdint>
#include <string>

#include "common/fd.hpp"

namespace lockstep::apps {

/// As it stands in the file, in the machine's own byte order.
struct LedgerEntry {
  std::uint32_t connection = 0;
  std::uint32_t sequence = 0;  ///< counts from 1 on each connection
  std::int64_t time_us = 0;    ///< of day: a restored tree's monotonic clock knows nothing of its absence
};
static_assert(sizeof(LedgerEntry) == 16);

class LedgerFile {
 public:
  /// Creates it; throws std::system_error.
  explicit LedgerFile(const std::string& path);
  void append(std::uint32_t connection, std::uint32_t sequence);

 private:
  std::string path_;
  Fd file_;
};

}  // namespace lockstep::apps
