#include "tests/e2e/podman/podman.hpp"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace lockstep::e2e {
namespace {

constexpr std::chrono::seconds kLimit{60};

/// Podman asks for more than a process without CAP_SYS_RESOURCE may have. CRIU can't raise a limit either.
std::string limit_of(__rlimit_resource resource) {
  rlimit limit{};
  ::getrlimit(resource, &limit);
  const auto number = std::min<rlim_t>(limit.rlim_max, 1024);
  return std::to_string(number) + ":" + std::to_string(number);
}

/// Overlays can't be stacked on one another without end.
std::string storage_driver(const std::filesystem::path& dir) {
  constexpr long kOverlay = 0x794c7630;
  struct statfs info {};
  return ::statfs(dir.c_str(), &info) == 0 && info.f_type == kOverlay ? "vfs" : "overlay";
}

/// What Podman has mounted below a folder, innermost first.
std::vector<std::string> mounts_below(const std::string& folder) {
  std::vector<std::string> found;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    if (word.starts_with(folder + "/")) found.push_back(word);
  }
  std::ranges::reverse(found);
  return found;
}

}  // namespace

Podman::Podman(const std::filesystem::path& dir, const std::filesystem::path& criu_folder) : dir_(dir) {
  configure(criu_folder);
  must_run({"ip", "-n", host_.name(), "link", "set", "lo", "up"});
  run({"network", "create", "--disable-dns", "--subnet", "10.79.0.0/24", network_});
}

Podman::~Podman() {
  (void)try_run({"pod", "rm", "--force", "--all", "--time", "0"});
  for (const std::string& mount : mounts_below(dir_)) ::umount2(mount.c_str(), MNT_DETACH);
}

void Podman::configure(const std::filesystem::path& criu_folder) const {
  // runc finds criu in its PATH; conmon starts runc with an environment of its own.
  const std::string path = criu_folder.string() + ":" + std::getenv("PATH");
  write_file(dir_ / "containers.conf",
             "[containers]\n"
             "default_ulimits = [\"nofile=" +
                 limit_of(RLIMIT_NOFILE) + "\", \"nproc=" + limit_of(RLIMIT_NPROC) +
                 "\"]\n"
                 "[engine]\n"
                 "runtime = \"runc\"\n"
                 "cgroup_manager = \"cgroupfs\"\n"
                 "events_logger = \"none\"\n"
                 "lock_type = \"file\"\n"
                 "tmp_dir = \"" +
                 (dir_ / "podman-tmp").string() +
                 "\"\n"
                 "conmon_env_vars = [\"PATH=" +
                 path +
                 "\"]\n"
                 "[network]\n"
                 "network_backend = \"netavark\"\n"
                 "network_config_dir = \"" +
                 (dir_ / "networks").string() + "\"\n");
  write_file(dir_ / "storage.conf",
             "[storage]\n"
             "driver = \"" +
                 storage_driver(dir_) +
                 "\"\n"
                 "graphroot = \"" +
                 (dir_ / "store").string() +
                 "\"\n"
                 "runroot = \"" +
                 (dir_ / "store-run").string() + "\"\n");
  ::setenv("CONTAINERS_CONF", (dir_ / "containers.conf").c_str(), 1);
  ::setenv("CONTAINERS_STORAGE_CONF", (dir_ / "storage.conf").c_str(), 1);
  ::setenv("PATH", path.c_str(), 1);
}

CommandResult Podman::try_run(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "podman");
  return run_command(arguments, kLimit, host_netns());
}

std::string Podman::run(std::vector<std::string> arguments) const {
  std::string line = "podman";
  for (const std::string& argument : arguments) line += " " + argument;
  CommandResult result = try_run(std::move(arguments));
  if (result.exit_code != 0) throw std::runtime_error(line + ": " + result.err);
  if (result.out.ends_with('\n')) result.out.pop_back();
  return result.out;
}

std::string Podman::field(const std::string& container, const std::string& format) const {
  return run({"container", "inspect", container, "--format", format});
}

}  // namespace lockstep::e2e
