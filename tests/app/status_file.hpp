/// The file in which lockstep-traffic tells how it is doing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "tests/app/connection.hpp"

namespace lockstep::traffic {

/// A file of always the same size (CRIU refuses to restore a file whose size has changed), kept open and written
/// over: one JSON object, padded with spaces. It begins with "report": N and ends with "report_end": N; a reader that
/// finds two different numbers has read while it was being written, and reads again.
class StatusFile {
 public:
  static constexpr std::size_t kBytes = 16 * 1024;
  /// How many connections are told one by one; the totals are always over all of them.
  static constexpr std::size_t kMaxListed = 40;

  [[nodiscard]] static Result<StatusFile> create(const std::string& path);
  void write(Side side, const std::vector<std::unique_ptr<Connection>>& connections);

 private:
  explicit StatusFile(Fd file) : file_(std::move(file)) {}
  Fd file_;
  std::uint64_t report_ = 0;
};

/// Nothing lost, doubled, out of order or corrupt, and no connection broken.
[[nodiscard]] bool healthy(const std::vector<std::unique_ptr<Connection>>& connections);

}  // namespace lockstep::traffic
