/// Network namespaces for tests. They have no names and no mounts: the descriptor is all that holds them, so nothing is
/// left behind however a test ends, and tests can run side by side.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/fd.hpp"
#include "common/netns.hpp"

namespace lockstep::testing {

class TestNetns {
 public:
  /// A new namespace with its loopback up. Throws std::runtime_error: without one no test can go on.
  TestNetns();

  [[nodiscard]] const Fd& fd() const { return fd_; }
  /// A path by which other processes can open the namespace while this process lives.
  [[nodiscard]] std::string path() const;
  /// Runs a command inside, found by PATH; throws when it fails. Gives its standard output.
  std::string run(std::vector<std::string> command, const std::string& input = {}) const;
  /// The same, and says with the exit code whether it worked.
  [[nodiscard]] int try_run(std::vector<std::string> command, const std::string& input = {}) const;

 private:
  Fd fd_;
};

/// Joins two namespaces by a veth pair: `veth0` in both, with 10.77.0.1/24 and fd77::1/64 in `first`, .2 and ::2 in
/// `second`. Waits until packets pass.
void connect(const TestNetns& first, const TestNetns& second);

/// Takes the value out of a Result, or throws its message.
template <class R>
auto must(R result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<typename R::value_type>) return std::move(*result);
}

}  // namespace lockstep::testing
