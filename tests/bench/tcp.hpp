/// Loopback TCP connections of the benchmarks' client process, and the loop that waits for many of them. One thread.
/// Everything throws std::system_error or std::runtime_error: a benchmark that can't go on has nothing to tell.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"

namespace lockstep::bench {

/// A port of 127.0.0.1 that nobody listens on at this moment.
[[nodiscard]] std::uint16_t free_port();
/// A listener on 127.0.0.1, at any free port.
[[nodiscard]] Fd listen_on_loopback();
[[nodiscard]] std::uint16_t port_of(const Fd& listener);
/// Connects to a port of 127.0.0.1, trying again for a few seconds while nobody listens; without Nagle's delay.
[[nodiscard]] Fd connect_to(std::uint16_t port);
void disable_nagle(const Fd& socket);

/// Sends it all, waiting where the peer is slow.
void send_all(const Fd& socket, std::string_view bytes);
/// Waits for exactly so many bytes.
[[nodiscard]] std::string receive_exactly(const Fd& socket, std::size_t size);
/// What is there now, up to 64 KiB; empty when nothing is. Valid until the next call; throws when the peer has gone.
[[nodiscard]] std::string_view receive_some(const Fd& socket);

/// epoll, level-triggered, for reading.
class Readable {
 public:
  Readable();
  /// `tag` is what wait() tells about this descriptor.
  void add(const Fd& fd, std::uint64_t tag);
  /// Calls `use` with the tags of all descriptors that can be read; throws after `limit` without one.
  void wait(milliseconds limit, const std::function<void(std::uint64_t tag)>& use);

 private:
  Fd epoll_;
};

}  // namespace lockstep::bench
