#include "common/priority.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "common/clock.hpp"
#include "common/privileges.hpp"

namespace lockstep {
namespace {

int policy() { return ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; }

/// What a child that has called run_first() finds out: its exit code.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_first();
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr int kNotAllowed = 77;

/// As systemd's RestrictRealtime= does to any policy that is more than SCHED_OTHER, _BATCH or _IDLE.
bool refuse_setscheduler() {
  std::array<sock_filter, 4> program{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setscheduler, 0, 1),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog filter{program.size(), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// Whether a real-time thread that never pauses is an ordinary one in the end, that still hands nothing on.
int run_without_a_pause() {
  const TimePoint end = Clock::now() + seconds(10);
  while (policy() == SCHED_RR && Clock::now() < end) {
  }
  return ::sched_getscheduler(0) == (SCHED_OTHER | SCHED_RESET_ON_FORK) ? 0 : 1;
}

TEST(Priority, IsNotInherited) {
  const int found = in_child([] {
    if (policy() != SCHED_RR) return kNotAllowed;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(policy() == SCHED_OTHER ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
  });
  if (found == kNotAllowed) GTEST_SKIP() << "this machine does not allow real-time processes";
  EXPECT_EQ(found, 0);
}

TEST(Priority, EndsWithWhoeverRunsWithoutAPause) {
  const int found = in_child([] {
    if (policy() != SCHED_RR) return kNotAllowed;
    if (!keep_capabilities({})) return 2;  // as the agent does, which then may not take everything back
    return run_without_a_pause();
  });
  if (found == kNotAllowed) GTEST_SKIP() << "this machine does not allow real-time processes";
  EXPECT_EQ(found, 0);
}

TEST(Priority, EndsAlsoUnderAFilterAgainstRealTime) {
  const int found = in_child([] {
    if (policy() != SCHED_RR) return kNotAllowed;
    if (!keep_capabilities({}) || !refuse_setscheduler()) return 2;
    return run_without_a_pause();
  });
  if (found == kNotAllowed) GTEST_SKIP() << "this machine does not allow real-time processes";
  EXPECT_EQ(found, 0);
}

TEST(Priority, EndsAlsoWhereTheParentHasBlockedTheSignal) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGXCPU);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  const int found = in_child([] {
    sigset_t now;
    ::sigprocmask(SIG_BLOCK, nullptr, &now);
    return policy() != SCHED_RR ? kNotAllowed : ::sigismember(&now, SIGXCPU);
  });
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (found == kNotAllowed) GTEST_SKIP() << "this machine does not allow real-time processes";
  EXPECT_EQ(found, 0);
}

}  // namespace
}  // namespace lockstep
