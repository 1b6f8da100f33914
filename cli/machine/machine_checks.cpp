#include "cli/machine/machine_checks.hpp"

#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "agent/kernel/iptables_programs.hpp"
#include "agent/kernel/pod_lock.hpp"
#include "agent/kernel/sock_diag.hpp"
#include "cli/broker_address.hpp"
#include "cli/broker_client.hpp"
#include "cli/criu_command.hpp"
#include "cli/criu_process.hpp"
#include "cli/files.hpp"
#include "cli/machine/setup_command.hpp"
#include "cli/machine/trial.hpp"
#include "cli/runtime_config.hpp"
#include "common/cgroup_path.hpp"
#include "common/netns.hpp"
#include "common/unix_socket.hpp"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr milliseconds kTrialLease{5'000};
constexpr milliseconds kVersionLimit{10'000};

bool is_installed(const std::string& program) {
  const char* const path = ::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (::access((std::string(rest.substr(0, end)) + "/" + program).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

Check failed(std::string name, const Error& error, std::string remedy) {
  return {std::move(name), Health::fail, error.message(), std::move(remedy)};
}

/// "v2", "hybrid" (v1's folders, and v2's in one of them), "v1".
std::string cgroup_form() {
  const auto is_v2 = [](const char* path) {
    struct statfs info {};
    return ::statfs(path, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
  };
  if (is_v2("/sys/fs/cgroup")) return "v2";
  return is_v2("/sys/fs/cgroup/unified") ? "hybrid" : "v1";
}

}  // namespace

Check check_root() {
  if (::geteuid() == 0) return {"root", Health::ok, "yes", {}};
  return {"root", Health::fail, "no", "run as root: CRIU, and trying anything, needs it"};
}

Check check_lock() {
  const std::string name = "lock";
  const auto netns = fresh_netns();
  if (!netns) return failed(name, netns.error(), "give this process CAP_SYS_ADMIN");
  auto lock = create_pod_lock(*netns, LockBackend::automatic, {});
  if (!lock) return failed(name, lock.error(), "modprobe nf_tables, or install iptables");
  auto done = (*lock)->arm(kTrialLease);
  if (done) done = (*lock)->remove();
  if (!done) return failed(name, done.error(), "give this process CAP_NET_ADMIN");
  const std::string backend((*lock)->backend());
  if (backend == "nftables") return {name, Health::ok, "nftables: armed and removed in a fresh namespace", {}};
  return {name, Health::warn, backend + " works, nftables does not: locks are slow, their leases whole seconds",
          "modprobe nf_tables"};
}

Check check_sock_diag() {
  const std::string name = "sock_diag";
  const std::string remedy = "modprobe inet_diag tcp_diag";
  const auto netns = fresh_netns();
  if (!netns) return failed(name, netns.error(), "give this process CAP_SYS_ADMIN");
  auto diag = SockDiag::create(*netns);
  if (!diag) return failed(name, diag.error(), remedy);
  const auto table = diag->tcp_sockets();
  if (!table) return failed(name, table.error(), remedy);
  return {name, Health::ok, "reads socket tables", {}};
}

Check check_pidfd() {
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (self) return {"pidfd", Health::ok, "opened", {}};
  return failed("pidfd", fail_errno("pidfd_open").value(), "Linux 5.3 or later is needed");
}

Check check_iptables() {
  if (find_iptables(IpFamily::v4, "") && find_iptables(IpFamily::v6, "")) {
    return {"iptables", Health::ok, "installed, in case nftables can't be used", {}};
  }
  return {"iptables", Health::ok, "not installed; only needed where nftables can't be used", {}};
}

Check check_clock() {
  timex state{};
  const bool synchronised = ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  if (synchronised) return {"clock", Health::ok, "synchronised", {}};
  return {"clock", Health::warn, "the kernel does not know it to be synchronised",
          "let chrony or systemd-timesyncd run: times of several machines are compared by people, and restored "
          "programs see the jump"};
}

std::vector<Check> check_criu_works(const std::vector<std::string>& criu) {
  std::vector<std::string> argv = criu;
  argv.emplace_back("--version");
  const std::string advice = "install criu " + kCriuForNewKernels.text() + " or newer, or name one by --criu";
  const auto printed = run_program(argv, kVersionLimit);
  if (!printed) return {failed("criu", printed.error(), advice)};
  const auto version = parse_criu_version(printed->output);
  if (!printed->exit.ok() || !version) {
    return {{"criu", Health::fail, criu.front() + " --version: " + printed->output.substr(0, 200), advice}};
  }
  std::vector<Check> checks;
  const bool old = *version < kOldestCriu;
  checks.push_back({"criu", old ? Health::fail : Health::ok, "version " + version->text(), old ? advice : ""});
  const auto trial = try_dump(criu, {"--no-default-config"});
  if (!trial) {
    checks.push_back(failed("trial dump", trial.error(), "see above"));
  } else if (trial->exit.ok()) {
    checks.push_back({"trial dump", Health::ok, "a process with an established TCP connection was dumped", {}});
  } else {
    const std::string lines = error_lines(trial->log, 400);
    checks.push_back(
        {"trial dump", Health::fail, lines.empty() ? trial->exit.text() : lines.substr(0, lines.find('\n')), advice});
  }
  return checks;
}

std::vector<Check> check_runtimes(const std::vector<std::string>& criu, const std::string& root) {
  const bool runc = is_installed("runc");
  const bool crun = is_installed("crun");
  std::vector<Check> checks{judge_cgroups(cgroup_form(), runc, crun)};
  if (!runc && !crun) {
    checks.push_back({"runtime", Health::warn, "neither runc nor crun is installed: no containers can be members",
                      "install runc, where the members are containers"});
  }
  for (const std::string runtime : {"runc", "crun"}) {
    const bool there = runtime == "runc" ? runc : crun;
    if (!there) continue;
    const CriuConfigFiles files = criu_config_files(runtime, root);
    Check config = judge_runtime_config(runtime, files.path, files.there, files.text);
    // Beside runc it is a second runtime that nobody has to use.
    if (config.health == Health::fail && runtime == "crun" && runc) config.health = Health::warn;
    const bool works = config.health == Health::ok;
    checks.push_back(std::move(config));
    if (!works) continue;
    std::vector<std::string> options;  // default.conf CRIU reads by itself
    if (fs::exists(files.path)) options = {"--config", files.path};
    const auto trial = try_dump(criu, options);
    checks.push_back(trial ? judge_hook_run(runtime, trial->log)
                           : failed(runtime + " hook", trial.error(), "see above"));
  }
  return checks;
}

Check check_agents(const std::string& socket_dir) {
  std::size_t listening = 0;
  std::size_t dead = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(socket_dir, error)) {
    const std::string name = entry.path().filename();
    if (name != "node.sock" && !(name.starts_with("pod-") && name.ends_with(".sock"))) continue;
    (somebody_listens(entry.path().string()) ? listening : dead) += 1;
  }
  const std::string remedy = "start lockstep-agent in the pods or on the node, with this folder as its socket_dir";
  if (listening == 0) return {"agents", Health::fail, "none listens in " + socket_dir, remedy};
  const std::string found = std::to_string(listening) + " listening in " + socket_dir;
  if (dead == 0) return {"agents", Health::ok, found, {}};
  return {"agents", Health::warn, found + ", " + std::to_string(dead) + " sockets that nobody listens at", remedy};
}

Check check_broker(const std::string& option, const std::string& key_option) {
  const std::string remedy = "start lockstep-broker, or name it by --broker or LOCKSTEP_BROKER";
  const auto address = broker_address(option, nullptr);
  if (!address) return failed("broker", address.error(), remedy);
  const auto key = broker_key(*address, key_option, nullptr);
  if (!key) return failed("broker", key.error(), "name a key by --key; see lockstep keys");
  auto client = BrokerClient::connect(address->broker, {}, *key);
  if (!client) return failed("broker", client.error(), remedy);
  const auto welcome = client->hello();
  if (!welcome) return failed("broker", welcome.error(), remedy);
  return {"broker", Health::ok, "answers at " + address->broker, {}};
}

Check check_host_network() {
  const auto own = open_netns_of(::getpid());
  const auto inode = own ? netns_inode(*own) : Result<std::uint64_t>(Failure(own.error()));
  if (!inode) return failed("host network", inode.error(), "mount /proc");
  std::set<std::string> containers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto cgroup = read_file(entry.path() / "cgroup", 65536);
    const std::string container = cgroup ? container_id_in(*cgroup) : std::string();
    if (container.empty()) continue;
    const auto netns = open_netns_of(std::atoi(pid.c_str()));
    const auto theirs = netns ? netns_inode(*netns) : Result<std::uint64_t>(Failure(netns.error()));
    if (theirs && *theirs == *inode) containers.insert(container.substr(0, 12));
  }
  if (containers.empty()) return {"host network", Health::ok, "no container lives in this machine's own network", {}};
  std::string list;
  for (const std::string& each : containers) list += " " + each;
  return {"host network", Health::warn,
          "these containers live in this machine's own network, and can't be members:" + list,
          "run members in a network namespace of their own"};
}

}  // namespace lockstep::cli
