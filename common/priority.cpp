#include "common/priority.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>

namespace lockstep {
namespace {

/// sched_setattr(2)'s argument: older C libraries don't have it, and newer ones don't bear the kernel's header.
struct Attributes {
  std::uint32_t size = sizeof(Attributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  ///< ns; of SCHED_OTHER: the length of a turn (Linux 6.12)
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

constexpr std::uint64_t kResetOnFork = 0x01;  ///< SCHED_FLAG_RESET_ON_FORK, as SCHED_RESET_ON_FORK in a policy
constexpr int kNice = -10;
constexpr std::uint64_t kTurn = 100'000;   ///< the shortest that the kernel gives
constexpr rlim_t kLongestRun = 1'000'000;  ///< us

bool set(int nice) {
  Attributes attributes;
  attributes.nice = nice;
  attributes.runtime = kTurn;
  return ::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

/// Of a real-time thread: its own choice, or that of whoever has started the program (CPUSchedulingPolicy=).
bool is_first() {
  const int policy = ::sched_getscheduler(0);
  return policy >= 0 && ((policy & ~SCHED_RESET_ON_FORK) == SCHED_RR || (policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO);
}

/// On the thread that has run for too long: only one is real-time, and libzmq's block all signals. To take the flag
/// back, or to be nicer to itself than before, would need a capability that is gone by then (sched(7)). Not by
/// sched_setscheduler(2): systemd's RestrictRealtime= refuses it any policy with that flag.
void become_ordinary(int /*signal*/) {
  const int before = errno;
  Attributes attributes;
  attributes.flags = kResetOnFork;
  attributes.nice = ::getpriority(PRIO_PROCESS, 0);
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);
  errno = before;
}

/// The kernel sends SIGXCPU when the time is over; whoever has started the program may have blocked it. The former limit.
std::optional<rlimit> limit_run() {
  struct sigaction action {};
  action.sa_handler = become_ordinary;
  action.sa_flags = SA_RESTART;
  sigset_t own;
  ::sigemptyset(&own);
  ::sigaddset(&own, SIGXCPU);
  rlimit former{};
  if (::sigaction(SIGXCPU, &action, nullptr) != 0 || ::sigprocmask(SIG_UNBLOCK, &own, nullptr) != 0 ||
      ::getrlimit(RLIMIT_RTTIME, &former) != 0) {
    return std::nullopt;
  }
  const rlimit limit{std::min(kLongestRun, former.rlim_max), former.rlim_max};
  return ::setrlimit(RLIMIT_RTTIME, &limit) == 0 ? std::optional(former) : std::nullopt;
}

}  // namespace

void run_first() {
  sched_param lowest{};
  lowest.sched_priority = 1;
  const auto former = limit_run();
  if (is_first() || (former && ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) == 0)) return;
  if (former) (void)::setrlimit(RLIMIT_RTTIME, &*former);
  run_promptly();
}

void run_promptly() {
  if (::sched_getscheduler(0) != SCHED_OTHER) return;  // somebody's choice
  const int now = ::getpriority(PRIO_PROCESS, 0);
  if (!set(std::min(now, kNice))) (void)set(now);
}

}  // namespace lockstep
