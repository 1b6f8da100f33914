#include "tests/bench/echo_barrier.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <thread>

namespace lockstep::bench {
namespace {

/// About a Ready's size, and a Release's, in their frames.
const std::string kMessage(80, 'x');
constexpr milliseconds kPatience{10'000};
/// Long enough for the server to have read everything.
constexpr milliseconds kSettle{5};
constexpr milliseconds kForever{-1};

[[noreturn]] void serve(const Fd& listener, std::size_t count) {
  std::vector<Fd> connections;
  Readable readable;
  for (std::size_t i = 0; i < count; ++i) {
    connections.emplace_back(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connections.back()) throw std::system_error(errno, std::generic_category(), "accept");
    disable_nagle(connections.back());
    readable.add(connections.back(), i);
  }
  std::size_t bytes = 0;
  while (true) {
    readable.wait(kForever, [&](std::uint64_t index) { bytes += receive_some(connections[index]).size(); });
    if (bytes < count * kMessage.size()) continue;
    bytes = 0;
    for (const Fd& connection : connections) send_all(connection, kMessage);
  }
}

}  // namespace

EchoBarrier::EchoBarrier(std::size_t count) : EchoBarrier(count, listen_on_loopback()) {}

EchoBarrier::EchoBarrier(std::size_t count, Fd listener)
    : server_(Child::fork([&] {
        try {
          serve(listener, count);
        } catch (const std::exception&) {
          ::_exit(1);  // the client has gone: the end of the measurement
        }
      })) {
  for (std::size_t i = 0; i < count; ++i) {
    connections_.push_back(connect_to(port_of(listener)));
    readable_.add(connections_.back(), i);
  }
}

Duration EchoBarrier::pass(Arrival arrival) {
  for (std::size_t i = 0; i + 1 < connections_.size(); ++i) send_all(connections_[i], kMessage);
  if (arrival == Arrival::last_one) std::this_thread::sleep_for(kSettle);
  const TimePoint begin = Clock::now();
  send_all(connections_.back(), kMessage);
  const std::size_t expected = connections_.size() * kMessage.size();
  for (std::size_t bytes = 0; bytes < expected;) {
    readable_.wait(kPatience, [&](std::uint64_t index) { bytes += receive_some(connections_[index]).size(); });
  }
  return Clock::now() - begin;
}

}  // namespace lockstep::bench
