#include "cli/criu_stats.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "cli/files.hpp"
#include "criu_stats.pb.h"

namespace lockstep::cli {
namespace {

// CRIU writes its images in the machine's byte order, and reads only those of its own architecture.
constexpr std::uint32_t kServiceMagic = 0x55105940;  // "this is no image of a task"
constexpr std::uint32_t kStatsMagic = 0x57093306;
constexpr std::size_t kHeader = 3 * sizeof(std::uint32_t);
/// An entry holds a few dozen numbers.
constexpr std::size_t kMaxImage = 64 * 1024;

using std::chrono::microseconds;

}  // namespace

Result<CriuTimes> parse_criu_stats(std::string_view bytes) {
  const auto bad = [](std::string why) { return fail(ErrorCode::invalid, "CRIU's statistics", std::move(why)); };
  std::array<std::uint32_t, 3> header{};
  if (bytes.size() < kHeader) return bad("shorter than its header");
  std::memcpy(header.data(), bytes.data(), kHeader);
  if (header[0] != kServiceMagic || header[1] != kStatsMagic) return bad("not a statistics image");
  bytes.remove_prefix(kHeader);
  if (header[2] > bytes.size() || header[2] > kMaxImage) return bad("cut off");
  criu_stats::Entry entry;
  if (!entry.ParseFromArray(bytes.data(), static_cast<int>(header[2]))) return bad("not a protobuf entry");
  CriuTimes times;
  if (entry.has_dump()) {
    const auto& dump = entry.dump();
    times.dump = DumpTimes{microseconds(dump.freezing()), microseconds(dump.frozen()), microseconds(dump.memory_dump()),
                           microseconds(dump.memory_write())};
  }
  if (entry.has_restore()) {
    times.restore = RestoreTimes{microseconds(entry.restore().forking()), microseconds(entry.restore().restoring())};
  }
  return times;
}

Result<CriuTimes> read_criu_stats(const std::string& images, Operation operation) {
  const std::string path = images + (operation == Operation::dump ? "/stats-dump" : "/stats-restore");
  const auto bytes = read_file(path, kMaxImage);
  if (!bytes) return Failure(bytes.error());
  auto times = parse_criu_stats(*bytes);
  if (!times) return fail_from(times.error(), path);
  return times;
}

}  // namespace lockstep::cli
