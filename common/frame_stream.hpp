/// Messages over a unix stream socket: a length (4 bytes, network byte order) and that many bytes.
///
/// Shared by the hook, which waits, and the agent, which may not: every call here returns at once whatever the mode of
/// the descriptor is, only `write_frame` waits, and only until its deadline. Nothing here owns a descriptor, allocates
/// by what a peer announces, or raises SIGPIPE. No thread of its own; one object belongs to one connection.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace lockstep {

/// Bytes before each frame.
inline constexpr std::size_t kFrameHeader = 4;
/// The most that one call of FrameReader::read_available() takes, so that one peer can't keep a loop to itself.
inline constexpr std::size_t kMaxReadAtOnce = std::size_t{1} << 20;

/// What one look at a socket has brought.
struct FrameBatch {
  std::vector<std::string> frames;  ///< whole frames, in order, without their headers
  bool closed = false;              ///< the peer has ended its side or is gone; `frames` came before that
};

/// Cuts a stream into frames. Holds at most one incomplete frame, and room only for bytes that have really come.
class FrameReader {
 public:
  /// Frames of 1 to `max_frame` bytes are taken (kMaxFrame of schemas/codec.hpp).
  explicit FrameReader(std::size_t max_frame) : max_frame_(max_frame) {}

  /// Takes what the socket holds now, up to kMaxReadAtOnce; call again when poll() says so (level-triggered). An empty
  /// batch that is not `closed` means: nothing there. An Error (invalid: an empty or oversized frame; system)
  /// ends the connection: the stream can't be understood from there on.
  [[nodiscard]] Result<FrameBatch> read_available(int fd);

  /// The same without a socket: appends to `frames` what `bytes` complete.
  [[nodiscard]] Result<void> feed(std::string_view bytes, std::vector<std::string>& frames);

  /// True when part of a frame has come, and the rest has not.
  [[nodiscard]] bool mid_frame() const { return !buffer_.empty(); }

 private:
  std::size_t max_frame_;
  std::string buffer_;  ///< the incomplete frame, with its header
};

/// Frames on their way out of a process that must not wait: queue(), then flush() now and whenever poll() says POLLOUT.
class FrameWriter {
 public:
  /// `max_buffered`: the most bytes, headers included, that may wait for a peer that does not read.
  explicit FrameWriter(std::size_t max_buffered) : max_buffered_(max_buffered) {}

  /// Puts a frame in line. refused: the peer does not read and the buffer is full (nothing was queued; drop the peer).
  [[nodiscard]] Result<void> queue(std::string_view frame);
  /// Gives the socket what it takes now. unavailable: the peer is gone.
  [[nodiscard]] Result<void> flush(int fd);
  /// Bytes that still wait: poll for POLLOUT while it is not 0.
  [[nodiscard]] std::size_t pending() const { return buffer_.size() - sent_; }

 private:
  std::size_t max_buffered_;
  std::string buffer_;
  std::size_t sent_ = 0;  ///< bytes at the front of buffer_ that the socket has taken
};

/// Writes one frame whole, waiting for room until `deadline`. timeout, or unavailable: the peer is gone.
[[nodiscard]] Result<void> write_frame(int fd, std::string_view frame, TimePoint deadline);

/// Who made the other end of a unix socket (SO_PEERCRED): of a listener, whoever called listen().
struct PeerCredentials {
  pid_t pid = 0;  ///< 0 when the peer lives in a pid namespace that is not ours or below it
  uid_t uid = 0;
  gid_t gid = 0;
};
[[nodiscard]] Result<PeerCredentials> peer_credentials(int fd);

}  // namespace lockstep
