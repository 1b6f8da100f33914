#include "cli/machine/trial.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "cli/files.hpp"
#include "cli/images_archive.hpp"
#include "common/netns.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kDumpLimit{30'000};
constexpr std::size_t kLogLimit = 256 * 1024;
/// The most that the process lives when we die before we could kill it.
constexpr unsigned kTrialSeconds = 60;

void raise_loopback() {
  const int control = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  ::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ::ioctl(control, SIOCSIFFLAGS, &request);
  ::close(control);
}

/// Both ends of a connection over loopback.
bool connect_to_itself() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  auto* const place = reinterpret_cast<sockaddr*>(&address);
  return ::bind(listener, place, size) == 0 && ::listen(listener, 1) == 0 &&
         ::getsockname(listener, place, &size) == 0 && ::connect(client, place, size) == 0 &&
         ::accept(listener, nullptr, nullptr) >= 0;
}

/// The child's life. After a fork: system calls alone. Says the step that failed, or 0.
[[noreturn]] void be_the_trial(int report) {
  ::setsid();
  ::alarm(kTrialSeconds);
  for (int standard = 0; standard < 3; ++standard) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, standard);
    if (nowhere > 2) ::close(nowhere);
  }
  // What we have open CRIU might not be able to dump.
  const int kept = ::dup2(report, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  char failed = 0;
  if (::unshare(CLONE_NEWNET) != 0) failed = 1;
  if (failed == 0) raise_loopback();
  if (failed == 0 && !connect_to_itself()) failed = 2;
  if (::write(kept, &failed, 1) != 1) ::_exit(1);
  ::close(kept);
  while (true) ::pause();
}

}  // namespace

Result<Fd> fresh_netns() {
  Result<Fd> result = fail(ErrorCode::system, "unshare");
  // unshare() is per thread, and this one ends in the new namespace.
  std::thread([&result] {
    if (::unshare(CLONE_NEWNET) != 0) {
      result = fail_errno("unshare CLONE_NEWNET", "needs CAP_SYS_ADMIN");
    } else {
      result = open_netns("/proc/thread-self/ns/net");
    }
  }).join();
  return result;
}

Result<std::unique_ptr<TrialProcess>> TrialProcess::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork");
  if (pid == 0) be_the_trial(theirs.get());
  std::unique_ptr<TrialProcess> process(new TrialProcess(pid));
  theirs = Fd();
  char failed = 0;
  if (TEMP_FAILURE_RETRY(::read(ours.get(), &failed, 1)) != 1) {
    return fail(ErrorCode::system, "the trial's process", "ended before it was ready");
  }
  if (failed == 1) return fail(ErrorCode::system, "a network namespace for the trial", "needs CAP_SYS_ADMIN");
  if (failed != 0) return fail(ErrorCode::system, "a TCP connection on loopback", "can't be made");
  return process;
}

TrialProcess::~TrialProcess() {
  ::kill(pid_, SIGKILL);
  siginfo_t info{};
  TEMP_FAILURE_RETRY(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED));
}

Result<TrialDump> try_dump(const std::vector<std::string>& criu, const std::vector<std::string>& options) {
  const auto process = TrialProcess::start();
  if (!process) return Failure(process.error());
  const auto folder = TempFolder::make();
  if (!folder) return Failure(folder.error());
  const auto netns = open_netns_of((*process)->pid());
  if (!netns) return Failure(netns.error());
  const auto inode = netns_inode(*netns);
  if (!inode) return Failure(inode.error());
  std::vector<std::string> argv = criu;
  argv.insert(argv.end(), {"dump", "--tree", std::to_string((*process)->pid()), "--images-dir", folder->path(),
                           "--log-file", "dump.log", "-v2", "--tcp-established", "--network-lock", "skip",
                           "--leave-running", "--external", "net[" + std::to_string(*inode) + "]:trial"});
  argv.insert(argv.end(), options.begin(), options.end());
  const auto printed = run_program(argv, kDumpLimit);
  if (!printed) return Failure(printed.error());
  const auto log = read_tail(folder->path() + "/dump.log", kLogLimit);
  return TrialDump{printed->exit, (log ? *log : std::string()) + "\n" + printed->output};
}

}  // namespace lockstep::cli
