#include "common/frame_stream.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

namespace lockstep {
namespace {

constexpr std::size_t kChunk = std::size_t{64} << 10;
/// Bytes at the front of FrameWriter's buffer that are worth moving the rest for.
constexpr std::size_t kCompactAfter = std::size_t{256} << 10;

std::array<char, kFrameHeader> header_of(std::size_t size) {
  const auto length = static_cast<std::uint32_t>(size);
  return {static_cast<char>(length >> 24), static_cast<char>(length >> 16), static_cast<char>(length >> 8),
          static_cast<char>(length)};
}

std::size_t length_in(std::string_view header) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < kFrameHeader; ++i) length = length << 8U | static_cast<std::uint8_t>(header[i]);
  return length;
}

/// Frames that no peer would take are refused before they are sent.
Result<void> check_length(std::size_t size) {
  if (size != 0 && size <= std::numeric_limits<std::uint32_t>::max()) return {};
  return fail(ErrorCode::invalid, "send frame of " + std::to_string(size) + " bytes",
              "not a length that a frame can have");
}

Failure fail_send(int error) {
  const bool gone = error == EPIPE || error == ECONNRESET || error == ENOTCONN;
  return Failure(Error{gone ? ErrorCode::unavailable : ErrorCode::system, error, "send frame", {}});
}

/// Gives the socket what it takes of `parts` without waiting: bytes taken, 0 when it is full.
Result<std::size_t> send_now(int fd, iovec* parts, std::size_t count) {
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  while (true) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    if (errno != EINTR) return fail_send(errno);
  }
}

/// Takes `count` bytes off the front of a list of parts.
void advance(std::array<iovec, 2>& parts, std::size_t count) {
  for (iovec& part : parts) {
    const std::size_t taken = std::min(count, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    count -= taken;
  }
}

/// Waits until the socket takes bytes again.
Result<void> wait_for_room(int fd, TimePoint deadline) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return fail(ErrorCode::timeout, "send frame", "the peer does not read");
    pollfd entry{fd, POLLOUT, 0};
    const int timeout = static_cast<int>(std::min<milliseconds::rep>(left.count(), std::numeric_limits<int>::max()));
    const int ready = ::poll(&entry, 1, timeout);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail_errno("poll for room to send a frame");
  }
}

}  // namespace

Result<FrameBatch> FrameReader::read_available(int fd) {
  FrameBatch batch;
  std::array<char, kChunk> chunk;  // not cleared: only what recv() fills is looked at
  for (std::size_t taken = 0; taken < kMaxReadAtOnce;) {
    const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return batch;
      // A reset: the peer went without reading all we sent. What it said before that stands, as with an orderly end.
      if (errno != ECONNRESET) return fail_errno("receive frame");
    }
    if (got <= 0) {
      batch.closed = true;
      return batch;
    }
    const auto size = static_cast<std::size_t>(got);
    if (auto fed = feed({chunk.data(), size}, batch.frames); !fed) return Failure(fed.error());
    taken += size;
    if (size < chunk.size()) return batch;  // the socket is empty: poll() tells when it no longer is
  }
  return batch;
}

Result<void> FrameReader::feed(std::string_view bytes, std::vector<std::string>& frames) {
  buffer_.append(bytes);
  std::string_view rest = buffer_;
  while (rest.size() >= kFrameHeader) {
    const std::size_t length = length_in(rest);
    if (length == 0 || length > max_frame_) {
      return fail(ErrorCode::invalid, "receive frame of " + std::to_string(length) + " bytes",
                  "a frame has 1 to " + std::to_string(max_frame_) + " bytes");
    }
    if (rest.size() - kFrameHeader < length) break;
    frames.emplace_back(rest.substr(kFrameHeader, length));
    rest.remove_prefix(kFrameHeader + length);
  }
  buffer_.erase(0, buffer_.size() - rest.size());
  if (buffer_.empty() && buffer_.capacity() > kChunk) std::string().swap(buffer_);  // a large frame's room
  return {};
}

Result<void> FrameWriter::queue(std::string_view frame) {
  if (auto fits = check_length(frame.size()); !fits) return fits;
  if (pending() + kFrameHeader + frame.size() > max_buffered_) {
    return fail(ErrorCode::refused, "queue frame of " + std::to_string(frame.size()) + " bytes",
                "the peer does not read, " + std::to_string(pending()) + " bytes wait for it already");
  }
  if (sent_ >= kCompactAfter) {
    buffer_.erase(0, sent_);
    sent_ = 0;
  }
  const auto header = header_of(frame.size());
  buffer_.append(header.data(), header.size()).append(frame);
  return {};
}

Result<void> FrameWriter::flush(int fd) {
  while (pending() > 0) {
    iovec part{buffer_.data() + sent_, pending()};
    const auto sent = send_now(fd, &part, 1);
    if (!sent) return Failure(sent.error());
    if (*sent == 0) return {};
    sent_ += *sent;
  }
  sent_ = 0;
  buffer_.clear();
  if (buffer_.capacity() > kCompactAfter) std::string().swap(buffer_);
  return {};
}

Result<void> write_frame(int fd, std::string_view frame, TimePoint deadline) {
  if (auto fits = check_length(frame.size()); !fits) return fits;
  auto header = header_of(frame.size());
  std::array<iovec, 2> parts{iovec{header.data(), header.size()},
                             iovec{const_cast<char*>(frame.data()), frame.size()}};  // sendmsg() does not write
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    const auto sent = send_now(fd, parts.data(), parts.size());
    if (!sent) return Failure(sent.error());
    advance(parts, *sent);
    if (*sent > 0) continue;
    if (auto room = wait_for_room(fd, deadline); !room) return room;
  }
  return {};
}

Result<PeerCredentials> peer_credentials(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return fail_errno("getsockopt SO_PEERCRED");
  return PeerCredentials{peer.pid, peer.uid, peer.gid};
}

}  // namespace lockstep
