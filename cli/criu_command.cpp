#include "cli/criu_command.hpp"

#include <charconv>

namespace lockstep::cli {
namespace {

/// What a dump and a restore have in common.
CriuCommand common_command(const RoundContext& context, const GroupMember& member, const PodId& pod,
                           Operation operation) {
  CriuCommand command;
  const std::string name(to_string(operation));
  const std::string log = name + ".log";
  command.argv = member.criu;
  command.argv.insert(command.argv.end(), {name, "--images-dir", member.images, "--log-file", log});
  // -v2 is errors and warnings: the log is written while the tasks are frozen.
  command.argv.insert(command.argv.end(), {"-v2", "--tcp-established"});
  command.argv.insert(command.argv.end(), {"--action-script", context.hook});
  command.environment = {"LOCKSTEP_ROUND=" + context.round.value,     "LOCKSTEP_GROUP=" + context.group.value,
                         "LOCKSTEP_MEMBER=" + member.id.value,        "LOCKSTEP_POD=" + std::to_string(pod.netns_inode),
                         "LOCKSTEP_SOCKET_DIR=" + context.socket_dir, "LOCKSTEP_BROKER=" + context.broker};
  command.output = member.images + "/" + name + ".out";
  command.log = member.images + "/" + log;
  return command;
}

void add_member_options(CriuCommand& command, const GroupMember& member) {
  command.argv.insert(command.argv.end(), member.criu_options.begin(), member.criu_options.end());
}

}  // namespace

CriuCommand dump_command(const RoundContext& context, const GroupMember& member, pid_t pid, const PodId& pod,
                         bool leave_running) {
  CriuCommand command = common_command(context, member, pod, Operation::dump);
  // Our agents lock the pod, earlier than CRIU would and with a lease; CRIU's own lock outlives failed restores. The
  // images tell a restoring CRIU that there is none.
  command.argv.insert(command.argv.end(), {"--network-lock", "skip"});
  const std::string external = "net[" + std::to_string(pod.netns_inode) + "]:" + std::string(kPodKey);
  command.argv.insert(command.argv.end(), {"--tree", std::to_string(pid), "--external", external});
  if (leave_running) command.argv.emplace_back("--leave-running");
  add_member_options(command, member);
  return command;
}

CriuCommand restore_command(const RoundContext& context, const GroupMember& member, const PodId& pod, int pod_fd) {
  CriuCommand command = common_command(context, member, pod, Operation::restore);
  const std::string inherit = "fd[" + std::to_string(kPodFd) + "]:" + std::string(kPodKey);
  command.argv.insert(command.argv.end(),
                      {"--restore-detached", "--inherit-fd", inherit, "--pidfile", restored_pidfile(member.images)});
  command.pod_fd = pod_fd;
  add_member_options(command, member);
  return command;
}

std::string restored_pidfile(const std::string& images) { return images + "/restored.pid"; }

std::string CriuVersion::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + (patch != 0 ? "." + std::to_string(patch) : "");
}

Result<CriuVersion> parse_criu_version(std::string_view output) {
  constexpr std::string_view kWord = "Version:";
  const std::size_t start = output.find(kWord);
  CriuVersion version;
  const char* at = start == std::string_view::npos ? nullptr : output.data() + start + kWord.size();
  const char* const end = output.data() + output.size();
  int read = 0;
  for (int* part : {&version.major, &version.minor, &version.patch}) {
    if (at == nullptr) break;
    while (read == 0 && at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, *part);
    if (error != std::errc{}) break;
    ++read;
    at = next != end && *next == '.' ? next + 1 : nullptr;
  }
  if (read < 2) return fail(ErrorCode::invalid, "criu --version", "does not tell a version; is it CRIU?");
  return version;
}

namespace {

/// Logged as an error, and no reason for anything: CRIU goes on with the limit that it has.
bool is_harmless(std::string_view line) {
  return line.find("Can't setup RLIMIT_NOFILE for self") != std::string_view::npos;
}

}  // namespace

std::string error_lines(std::string_view log, std::size_t limit) {
  std::string found;
  std::string_view previous;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    const bool telling = line.find("Error (") != std::string_view::npos || line.starts_with("lockstep") || line.starts_with("Error: ");
    if (!telling || is_harmless(line) || line == previous) continue;
    previous = line;
    found += (found.empty() ? "" : "\n") + std::string(line);
  }
  if (found.size() <= limit) return found;
  found.erase(0, found.size() - limit);
  const std::size_t whole = found.find('\n');  // begin with a whole line, where there is one
  return whole == std::string::npos ? found : found.substr(whole + 1);
}

}  // namespace lockstep::cli
