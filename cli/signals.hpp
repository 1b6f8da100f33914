/// Ctrl-C as an event: an interrupted round is aborted in order, instead of leaving its CRIUs alone.
#pragma once

#include <signal.h>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// Blocks SIGINT, SIGTERM and SIGHUP for its life and makes them readable. For the main thread, before libzmq starts
/// its own: threads inherit the mask, and a signal that any thread does not block would end the process.
class SignalFd {
 public:
  [[nodiscard]] static Result<SignalFd> open();
  SignalFd(SignalFd&&) = default;
  SignalFd& operator=(SignalFd&&) = delete;
  ~SignalFd();

  /// Readable when a signal has come.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// How many have come since the last call; never waits.
  [[nodiscard]] int take();

 private:
  SignalFd(Fd fd, const sigset_t& previous) : fd_(std::move(fd)), previous_(previous) {}
  Fd fd_;
  sigset_t previous_;
};

}  // namespace lockstep::cli
