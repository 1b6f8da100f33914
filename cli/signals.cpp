#include "cli/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

namespace lockstep::cli {

Result<SignalFd> SignalFd::open() {
  sigset_t signals;
  sigset_t previous;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, &previous); error != 0) {
    return Failure(Error{ErrorCode::system, error, "pthread_sigmask", {}});
  }
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) {
    auto failure = fail_errno("signalfd");
    ::pthread_sigmask(SIG_SETMASK, &previous, nullptr);
    return failure;
  }
  return SignalFd(std::move(fd), previous);
}

SignalFd::~SignalFd() {
  if (!fd_) return;  // moved away
  // Whatever came and was not taken has been meant for the round: it must not end us while we report.
  (void)take();
  ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

int SignalFd::take() {
  int count = 0;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) ++count;
  return count;
}

}  // namespace lockstep::cli
