#include "agent/kernel/netns_command.hpp"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/netns.hpp"

namespace lockstep {
namespace {

/// Owns a child process: one that has not been waited for is killed and reaped.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (reaped_) return;
    ::kill(pid_, SIGKILL);
    (void)reap();
  }

  /// False when it still runs at the deadline.
  Result<bool> wait_until(TimePoint deadline) const {
    // glibc 2.36 declares pidfd_open() without extern "C": C++ can't link it.
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd) return fail_errno("pidfd_open " + std::to_string(pid_));
    while (true) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
      pollfd item{pidfd.get(), POLLIN, 0};
      const int ready = ::poll(&item, 1, left > 0 ? static_cast<int>(left) : 0);
      if (ready >= 0) return ready == 1;
      if (errno != EINTR) return fail_errno("poll pidfd of " + std::to_string(pid_));
    }
  }

  /// Blocks until it has ended; gives its exit code.
  Result<int> reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
      if (errno != EINTR) return fail_errno("waitpid " + std::to_string(pid_));
    reaped_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

/// A file in memory: unlike a pipe, it can't fill up and block either side.
Result<Fd> memory_file(const char* name, std::string_view content = {}) {
  Fd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) return fail_errno(std::string("memfd_create ") + name);
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t written =
        ::pwrite(file.get(), content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (written < 0) return fail_errno(std::string("write to memfd ") + name);
    done += static_cast<std::size_t>(written);
  }
  return file;
}

std::string read_all(const Fd& file) {
  std::string text;
  char part[4096];
  ssize_t length = 0;
  while ((length = ::pread(file.get(), part, sizeof part, static_cast<off_t>(text.size()))) > 0)
    text.append(part, static_cast<std::size_t>(length));
  return text;
}

/// What posix_spawn is to do in the child before the program starts; freed at the end of the scope.
class SpawnSetup {
 public:
  SpawnSetup(const Fd& input, const Fd& output, const Fd& errors) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, errors.get(), STDERR_FILENO);
    // A daemon blocks and ignores signals; its children must not inherit that.
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  Result<pid_t> spawn(const Fd& netns, const std::vector<std::string>& arguments) const {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const char* const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", nullptr};
    // The child starts in the namespace of the thread that spawns it.
    auto scope = NetnsScope::enter(netns);
    if (!scope) return Failure(scope.error());
    pid_t pid = -1;
    errno = ::posix_spawn(&pid, argv[0], &actions_, &attributes_, argv.data(), const_cast<char* const*>(environment));
    if (errno != 0) return fail_errno("posix_spawn " + arguments.front());
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<CommandOutcome> run_in_netns(const Fd& netns, const std::vector<std::string>& arguments, std::string_view input,
                                    milliseconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  auto in = memory_file("input", input);
  if (!in) return Failure(in.error());
  auto out = memory_file("output");
  if (!out) return Failure(out.error());
  auto err = memory_file("errors");
  if (!err) return Failure(err.error());
  auto pid = SpawnSetup(*in, *out, *err).spawn(netns, arguments);
  if (!pid) return Failure(pid.error());

  Child child(*pid);
  auto ended = child.wait_until(deadline);
  if (!ended) return Failure(ended.error());
  if (!*ended)
    return fail(ErrorCode::timeout, "run " + arguments.front(),
                "killed after " + std::to_string(limit.count()) + " ms");
  auto exit_code = child.reap();
  if (!exit_code) return Failure(exit_code.error());
  return CommandOutcome{*exit_code, read_all(*out), read_all(*err)};
}

}  // namespace lockstep
