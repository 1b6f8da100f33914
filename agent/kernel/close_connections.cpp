#include "agent/kernel/close_connections.hpp"

#include <algorithm>
#include <span>
#include <tuple>

namespace lockstep::agent {
namespace {

/// A safety net only, for an agent that dies between the calls; a thousand SOCK_DESTROYs take some 10 ms.
constexpr milliseconds kClosingLimit = seconds(2);
constexpr std::size_t kPart = kMaxAnswered;

auto end_points(const Socket& socket) { return std::tie(socket.local, socket.remote, socket.v6_socket); }

bool is_open(const Socket& socket) {
  switch (socket.state) {
    case TcpState::listen:
    case TcpState::time_wait:
    case TcpState::close: return false;
    default: return true;
  }
}

/// Keeps resets in again at the end of the scope, unless a peer may still ask back: then their limit does it.
class ResetsPass {
 public:
  explicit ResetsPass(PodLock& lock) : lock_(lock) {}
  ResetsPass(const ResetsPass&) = delete;
  ResetsPass& operator=(const ResetsPass&) = delete;
  ~ResetsPass() {
    if (!asked_back_) (void)lock_.stop_resets().has_value();  // on an error the limit ends it as well
  }
  Result<void> open_for(std::span<const Socket> part) {
    SocketTable unacknowledged;
    for (const Socket& socket : part)
      if (socket.send_queue > 0) unacknowledged.push_back(socket);
    if (!unacknowledged.empty()) asked_back_ = true;
    return lock_.pass_resets(kClosingLimit, unacknowledged);
  }

 private:
  PodLock& lock_;
  bool asked_back_ = false;
};

Result<void> destroy_part(SockDiag& diag, std::span<const Socket> part, ClosedConnections& counts) {
  for (const Socket& socket : part) {
    auto destroyed = diag.destroy(socket);
    if (!destroyed && destroyed.error().code == ErrorCode::not_found) continue;  // closed by itself meanwhile
    if (!destroyed) return destroyed;
    ++counts.closed;
    counts.discarded_bytes += socket.receive_queue;
    counts.unsent_bytes += socket.send_queue;
  }
  return {};
}

}  // namespace

SocketTable find_connections(const SocketTable& present, const SocketTable& wanted) {
  std::vector<const Socket*> sorted;
  for (const Socket& socket : present)
    if (is_open(socket)) sorted.push_back(&socket);
  const auto key = [](const Socket* socket) { return end_points(*socket); };
  std::ranges::sort(sorted, {}, key);
  SocketTable found;
  for (const Socket& socket : wanted) {
    const auto first = std::ranges::lower_bound(sorted, end_points(socket), {}, key);
    const auto last = std::ranges::upper_bound(first, sorted.end(), end_points(socket), {}, key);
    // The interface's number changes with the pod; it only matters where there is a choice.
    const auto chosen = last - first < 2 ? first : std::find_if(first, last, [&](const Socket* each) {
      return each->interface_index == socket.interface_index;
    });
    if (chosen != last) found.push_back(**chosen);
  }
  return found;
}

Result<ClosedConnections> close_connections(PodLock& lock, SockDiag& diag, const SocketTable& wanted) {
  ClosedConnections counts;
  if (wanted.empty()) return counts;
  auto present = diag.tcp_sockets();
  if (!present) return fail_from(present.error(), "close connections");
  const SocketTable found = find_connections(*present, wanted);
  ResetsPass resets(lock);
  for (std::span<const Socket> rest(found); !rest.empty();) {
    const auto part = rest.first(std::min(rest.size(), kPart));
    if (auto passed = resets.open_for(part); !passed) return fail_from(passed.error(), "close connections");
    if (auto destroyed = destroy_part(diag, part, counts); !destroyed)
      return fail_from(destroyed.error(), "close connections");
    rest = rest.subspan(part.size());
  }
  counts.already_gone = static_cast<std::uint32_t>(wanted.size()) - counts.closed;
  return counts;
}

}  // namespace lockstep::agent
