#include "cli/criu_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "cli/files.hpp"
#include "common/signals.hpp"

namespace lockstep::cli {
namespace {

/// posix_spawn's two option objects, freed on every path.
class SpawnOptions {
 public:
  SpawnOptions() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;
  ~SpawnOptions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  /// stdin from nowhere, stdout and stderr to `output_fd`; `pod_fd` under its agreed number.
  void wire(int output_fd, int pod_fd) {
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, output_fd, STDERR_FILENO);
    if (pod_fd >= 0) posix_spawn_file_actions_adddup2(&actions_, pod_fd, kPodFd);
    // What we were started with is not for CRIU either.
    posix_spawn_file_actions_addclosefrom_np(&actions_, pod_fd >= 0 ? kPodFd + 1 : kPodFd);
  }

  /// A group of its own, and none of the signals blocked or ignored that we have blocked for ourselves.
  void detach() {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// Our environment, with `additions` in front of what they replace.
std::vector<std::string> environment_with(const std::vector<std::string>& additions) {
  std::vector<std::string> result = additions;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('=') + 1);
    bool replaced = false;
    for (const auto& addition : additions) replaced = replaced || std::string_view(addition).starts_with(name);
    if (!replaced) result.emplace_back(*entry);
  }
  return result;
}

Result<pid_t> spawn(const std::vector<std::string>& argv, const std::vector<std::string>& additions, int output_fd,
                    int pod_fd) {
  SpawnOptions options;
  options.wire(output_fd, pod_fd);
  options.detach();
  std::vector<std::string> words = argv;
  std::vector<std::string> environment = environment_with(additions);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, words.front().c_str(), &options.actions_, &options.attributes_,
                                 pointers(words).data(), pointers(environment).data());
  if (error != 0) {
    const ErrorCode code = error == ENOENT ? ErrorCode::not_found : ErrorCode::system;
    return Failure(Error{code, error, "start " + argv.front(), {}});
  }
  return pid;
}

Fd open_pidfd(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

/// By which people end programs.
constexpr std::initializer_list<int> kEndingSignals{SIGINT, SIGTERM, SIGHUP};

/// Those of them that this thread has blocked. They are only looked at: whoever has blocked them finds them afterwards.
Fd blocked_signals() {
  sigset_t blocked;
  sigset_t asked;
  sigemptyset(&asked);
  if (::pthread_sigmask(SIG_BLOCK, nullptr, &blocked) != 0) return {};
  for (const int signal : kEndingSignals) {
    if (sigismember(&blocked, signal) == 1) sigaddset(&asked, signal);
  }
  return Fd(::signalfd(-1, &asked, SFD_CLOEXEC));
}

}  // namespace

std::string ProcessExit::text() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  return "killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

Result<CriuProcess> CriuProcess::start(const CriuCommand& command) {
  const Fd output(::open(command.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!output) return fail_errno("create " + command.output);
  const auto pid = spawn(command.argv, command.environment, output.get(), command.pod_fd);
  if (!pid) return Failure(pid.error());
  // The pid can't be anybody else's before we have reaped it.
  Fd pidfd = open_pidfd(*pid);
  CriuProcess process(*pid, std::move(pidfd));
  if (!process.pidfd_) return fail_errno("pidfd_open", "Linux 5.3 or later is needed");
  return process;
}

CriuProcess::CriuProcess(CriuProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)), exit_(other.exit_) {}

CriuProcess::~CriuProcess() {
  if (pid_ == 0 || exit_) return;
  signal_group(SIGKILL);
  siginfo_t info{};
  TEMP_FAILURE_RETRY(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED));
}

std::optional<ProcessExit> CriuProcess::poll() {
  if (exit_) return exit_;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return std::nullopt;
  exit_ = info.si_code == CLD_EXITED ? ProcessExit{info.si_status, 0} : ProcessExit{0, info.si_status};
  return exit_;
}

void CriuProcess::signal_group(int signal) const {
  if (pid_ != 0 && !exit_) ::kill(-pid_, signal);
}

Result<Fd> hold_ending_signals() { return open_signal_fd(kEndingSignals); }

Result<Printed> run_program(const std::vector<std::string>& argv, milliseconds limit) {
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  // A file in memory instead of a pipe: no reading while it runs, and no end of file held back by a grandchild.
  const Fd output(::memfd_create("output", MFD_CLOEXEC));
  if (!output) return fail_errno("memfd_create");
  CriuCommand command;
  command.argv = argv;
  command.output = "/proc/self/fd/" + std::to_string(output.get());
  auto process = CriuProcess::start(command);
  if (!process) return Failure(process.error());
  const Fd signals = blocked_signals();
  std::array<pollfd, 2> ends{pollfd{process->pidfd(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
  if (TEMP_FAILURE_RETRY(::poll(ends.data(), ends.size(), static_cast<int>(limit.count()))) < 0)
    return fail_errno("poll");
  const auto exit = process->poll();
  if (!exit && (ends[1].revents & POLLIN) != 0) return fail(ErrorCode::refused, argv.front(), "was interrupted");
  if (!exit)
    return fail(ErrorCode::timeout, argv.front(), "has not ended after " + std::to_string(limit.count()) + " ms");
  auto text = read_tail(command.output, kLongest + 1);
  if (!text) return Failure(text.error());
  if (text->size() > kLongest) {
    return fail(ErrorCode::invalid, argv.front(), "has printed more than " + std::to_string(kLongest) + " bytes");
  }
  return Printed{*exit, std::move(*text)};
}

}  // namespace lockstep::cli
