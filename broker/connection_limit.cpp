#include "broker/connection_limit.hpp"

#include <linux/close_range.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/log.hpp"

namespace lockstep::broker {
namespace {

/// Nobody has come for so long: libzmq takes over again.
constexpr int kQuietMs = 100;
/// The longest that the doorman works at a time: whoever has room meanwhile should get in.
constexpr seconds kMaxWork{2};
constexpr seconds kBetweenComplaints{10};

/// Gives the calling thread a table of descriptors of its own, with nothing in it but the listeners: the process's
/// other threads keep theirs. So a connection can be accepted though the process has no number left, and libzmq cannot
/// take that number in the moment between.
bool keep_only(const std::vector<int>& listeners) {
  unsigned first = 0;
  bool closed = true;
  for (const int listener : listeners) {
    const auto own = static_cast<unsigned>(listener);
    if (own > first) closed = closed && ::close_range(first, own - 1, CLOSE_RANGE_UNSHARE) == 0;
    first = own + 1;
  }
  return closed && ::close_range(first, ~0U, CLOSE_RANGE_UNSHARE) == 0;
}

/// Accepts and closes until nobody comes any more. False when the kernel does not let it.
bool refuse_all(const std::vector<int>& listeners) {
  if (!keep_only(listeners)) return false;
  std::vector<pollfd> items;
  for (const int listener : listeners) items.push_back({listener, POLLIN, 0});
  const TimePoint until = Clock::now() + kMaxWork;
  while (::poll(items.data(), items.size(), kQuietMs) > 0 && Clock::now() < until) {
    for (const pollfd& item : items) {
      if ((item.revents & POLLIN) == 0) continue;
      while (Clock::now() < until) {
        const int fd = ::accept4(item.fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) break;
        ::close(fd);
      }
    }
  }
  return true;
}

}  // namespace

Result<std::size_t> limit_descriptors(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("getrlimit RLIMIT_NOFILE");
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return fail_errno("setrlimit RLIMIT_NOFILE");
  return static_cast<std::size_t>(limit.rlim_cur);
}

ConnectionLimit::~ConnectionLimit() {
  if (doorman_.joinable()) doorman_.join();
}

void ConnectionLimit::turn_away(std::vector<int> listeners) {
  if (turning_.exchange(true)) return;
  std::sort(listeners.begin(), listeners.end());
  if (doorman_.joinable()) doorman_.join();
  if (const TimePoint now = Clock::now(); now >= next_complaint_) {
    next_complaint_ = now + kBetweenComplaints;
    spdlog::warn("there are as many connections as this process may have descriptors; further ones are closed at once");
  }
  try {
    doorman_ = std::thread([this, listeners = std::move(listeners)] {
      if (!refuse_all(listeners)) {
        spdlog::warn("further connections can't be closed: {}", std::strerror(errno));
        std::this_thread::sleep_for(milliseconds(kQuietMs));  // not at once again, for nothing
      }
      turning_ = false;
    });
  } catch (const std::system_error& error) {  // no thread to be had: the next turn tries again
    spdlog::warn("further connections can't be closed: {}", error.what());
    turning_ = false;
  }
}

}  // namespace lockstep::broker
