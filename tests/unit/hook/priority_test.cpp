#include "common/priority.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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
    const TimePoint end = Clock::now() + seconds(10);
    while (policy() == SCHED_RR && Clock::now() < end) {
    }
    return policy() == SCHED_OTHER ? 0 : 1;
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
