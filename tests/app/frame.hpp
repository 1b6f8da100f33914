/// The messages that lockstep-traffic exchanges, and the check that a stream of them is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::traffic {

enum class Side : std::uint8_t { client, server };

/// In front of each payload; in the machine's own byte order, since both ends run on one machine.
struct FrameHeader {
  std::uint32_t magic = 0;
  std::uint32_t connection = 0;  ///< chosen by the client
  std::uint64_t sequence = 0;    ///< 1, 2, 3, … in each direction
  std::uint32_t length = 0;      ///< of the payload, in bytes: a multiple of 8
  std::uint32_t flags = 0;
  std::uint64_t checksum = 0;  ///< over the header (this field as 0) and the payload
};
static_assert(sizeof(FrameHeader) == 32);

inline constexpr std::uint32_t kMagic = 0x4c4b5354;
inline constexpr std::uint32_t kFromServer = 1;  ///< a server's bytes must not pass for a client's
inline constexpr std::uint32_t kGoodbye = 2;     ///< the sender's last frame
inline constexpr std::uint32_t kMaxPayload = 4096;

/// Appends a frame to `out`. Its payload and the payload's length follow from the other arguments.
void append_frame(std::vector<std::byte>& out, std::uint32_t connection, std::uint64_t sequence, std::uint32_t flags);

struct StreamCounters {
  std::uint64_t received = 0;      ///< frames with a right checksum
  std::uint64_t lost = 0;          ///< sequence numbers skipped and not seen since
  std::uint64_t doubled = 0;       ///< seen before
  std::uint64_t out_of_order = 0;  ///< skipped first, seen later
  std::uint64_t corrupt = 0;       ///< broken header, wrong checksum, or another stream's frame
  [[nodiscard]] bool clean() const { return lost == 0 && doubled == 0 && out_of_order == 0 && corrupt == 0; }
};

/// Takes one direction of a connection, byte by byte as it comes, and counts what is wrong with it.
class StreamVerifier {
 public:
  /// `sender`: whose frames these must be. A server learns the connection's number from the first frame.
  explicit StreamVerifier(Side sender) : sender_(sender) {}

  /// Where the next bytes go; never empty.
  [[nodiscard]] std::span<std::byte> space();
  /// `size` bytes have been written to space(). Returns how many frames they completed.
  std::size_t commit(std::size_t size);

  [[nodiscard]] const StreamCounters& counters() const { return counters_; }
  [[nodiscard]] std::uint32_t connection() const { return connection_; }  ///< 0 until the first frame
  [[nodiscard]] bool goodbye() const { return goodbye_; }
  /// False once a header made no sense: where the next frame begins is then unknown, and nothing more is checked.
  [[nodiscard]] bool framed() const { return framed_; }

 private:
  struct Gap {
    std::uint64_t first, last;  ///< both missing
  };

  void check(const FrameHeader& header, const std::byte* payload);
  void check_sequence(std::uint64_t sequence);

  Side sender_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(128 * 1024);
  std::size_t filled_ = 0;
  std::uint32_t connection_ = 0;
  std::uint64_t expected_ = 1;
  std::vector<Gap> gaps_;
  bool goodbye_ = false;
  bool framed_ = true;
  StreamCounters counters_;
};

}  // namespace lockstep::traffic
