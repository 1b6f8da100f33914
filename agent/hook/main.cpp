/// lockstep-hook: the action script that CRIU runs. Exit code 0 lets CRIU go on, 1 stops it, 2 means it was not CRIU
/// that started it.
///
/// It runs while tasks are frozen, so it starts fast: linked statically, and without iostream, whose locales cost more
/// than all its work.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "agent/hook/hook_environment.hpp"
#include "agent/hook/session.hpp"
#include "agent/hook/stopwatch.hpp"
#include "common/priority.hpp"

namespace {

constexpr std::string_view kUsage =
    "Usage: lockstep-hook\n"
    "\n"
    "CRIU's action script for coordinated checkpoints. CRIU starts it, not a person:\n"
    "  criu dump --action-script /path/to/lockstep-hook --network-lock skip ...\n"
    "or, for runc and Podman, in /etc/criu/runc.conf:\n"
    "  action-script /path/to/lockstep-hook\n"
    "  network-lock skip\n"
    "\n"
    "Options:\n"
    "  --help       this text\n"
    "  --version    the version\n"
    "\n"
    "Set by CRIU:\n"
    "  CRTOOLS_SCRIPT_ACTION, CRTOOLS_IMAGE_DIR, CRTOOLS_INIT_PID\n"
    "Whose images these are (else lines 'round: ...', 'group: ...', 'member: ...' of lockstep.member in the images\n"
    "folder; else criu-coordinator.json there or in /etc/criu; else the agent or the broker finds out by the\n"
    "container's id):\n"
    "  LOCKSTEP_ROUND, LOCKSTEP_GROUP, LOCKSTEP_MEMBER\n"
    "  LOCKSTEP_POD               inode of the network namespace to restore into\n"
    "  LOCKSTEP_COORDINATOR_CONFIG  another path than /etc/criu/criu-coordinator.json; empty: none\n"
    "How to find the agent (else lines 'socket_dir: ...', 'broker: ...', 'key: ...' of /etc/lockstep/hook.conf):\n"
    "  LOCKSTEP_SOCKET_DIR        folder of pod-INODE.sock and node.sock; /run/lockstep\n"
    "  LOCKSTEP_BROKER            address of the broker, asked through a relay where no agent listens\n"
    "  LOCKSTEP_AGENT_KEY         the relay's key file, for a broker on the network; /etc/lockstep/keys/agent.key\n"
    "  LOCKSTEP_HOOK_SILENCE_MS   longest wait for a word from the agent; 5000\n"
    "  LOCKSTEP_HOOK_LIMIT_MS     longest wait for the verdict; 3600000\n"
    "\n"
    "Exit code: 0 when CRIU may go on, 1 when it must not (the reason is on stderr, in CRIU's log), 2 for wrong use.\n";

void print(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written <= 0) return;  // nobody reads: the exit code has to do
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// One line in CRIU's log, in one write, whatever a peer has put into the reason.
void print_failure(std::string_view action, const lockstep::Error& error) {
  constexpr std::size_t kLongest = 2'000;
  std::string line = "lockstep-hook: " + std::string(action) + ": " + error.message();
  if (line.size() > kLongest) line.replace(kLongest, std::string::npos, "...");
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  print(STDERR_FILENO, line + "\n");
}

int run_by_hand(int argc, char** argv) {
  const std::string_view option = argc == 2 ? argv[1] : "";
  if (option == "--help") {
    print(STDOUT_FILENO, kUsage);
    return 0;
  }
  if (option == "--version") {
    print(STDOUT_FILENO, "lockstep-hook " LOCKSTEP_VERSION "\n");
    return 0;
  }
  print(STDERR_FILENO, "lockstep-hook: CRTOOLS_SCRIPT_ACTION is not set; CRIU sets it for its action scripts\n\n");
  print(STDERR_FILENO, kUsage);
  return 2;
}

/// A hook must not outlive its CRIU: it would speak for an operation that no longer exists. Its end is also how the
/// agent hears at once that CRIU has been killed. SIGKILL, because CRIU blocks signals and children inherit that.
/// False when CRIU has gone already.
bool die_with_parent() {
  const pid_t parent = ::getppid();
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
}

}  // namespace

int main(int argc, char** argv, char** envp) {
  lockstep::hook::Stopwatch watch;
  const lockstep::hook::Environment environment(envp);
  const auto name = environment.get("CRTOOLS_SCRIPT_ACTION");
  if (argc > 1 || !name) return run_by_hand(argc, argv);
  const auto action = lockstep::hook_action_from(*name);
  if (!action) return 0;  // an action that no round waits for
  ::signal(SIGPIPE, SIG_IGN);
  if (!die_with_parent()) return 1;
  lockstep::run_first();
  const auto done = lockstep::hook::run_session(environment, *action, watch);
  if (done) {
    // For `lockstep`, which tells where the time has gone.
    print(STDERR_FILENO, to_log_line(watch.times(*action)));
    return 0;
  }
  print_failure(*name, done.error());
  return 1;
}
