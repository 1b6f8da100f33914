/// Two pods joined by a veth pair, the first one to be locked, with traffic of every kind between and inside them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "agent/kernel/pod_lock.hpp"
#include "tests/netns/sockets.hpp"
#include "tests/netns/test_netns.hpp"

namespace lockstep::testing {

inline constexpr milliseconds kArrives{1000};  ///< what is let through has come long before that
inline constexpr milliseconds kBlocked{120};   ///< what has not come by then is taken for stopped

/// A way to lock, and how it is made.
struct Backend {
  std::string name;
  milliseconds short_lease;  ///< the shortest that makes sense
  milliseconds opens_after;  ///< after which an unrenewed `short_lease` is over for sure
  Result<std::unique_ptr<PodLock>> (*make)(const Fd& netns, std::vector<Endpoint> exempt);
};
[[nodiscard]] const std::vector<Backend>& backends();
/// How GoogleTest shows one.
inline void PrintTo(const Backend& backend, std::ostream* out) { *out << backend.name; }

/// Everything that a lock has to stop: TCP and UDP, IPv4 and IPv6, in, out and over the loopback.
class Traffic {
 public:
  Traffic(const TestNetns& pod, const TestNetns& peer);
  /// Names of the flows that pass now.
  [[nodiscard]] std::vector<std::string> passing(milliseconds limit);

 private:
  struct Udp {
    std::string name;
    UdpFlow flow;
  };
  struct Tcp {
    std::string name;
    const TestNetns& from;
    Address target;
    Fd listener;
  };
  std::vector<Udp> udp_;
  std::vector<Tcp> tcp_;
};

class PodTest : public ::testing::TestWithParam<Backend> {
 protected:
  PodTest() { connect(pod_, peer_); }
  /// Skips the test where the backend is not there.
  void SetUp() override;
  /// Makes the lock again, with end points that it lets through.
  void make_lock(std::vector<Endpoint> exempt);
  void expect_open(Traffic& traffic);
  void expect_closed(Traffic& traffic);

  TestNetns pod_;
  TestNetns peer_;
  std::unique_ptr<PodLock> lock_;
};

[[nodiscard]] std::string backend_name(const ::testing::TestParamInfo<Backend>& info);

}  // namespace lockstep::testing
