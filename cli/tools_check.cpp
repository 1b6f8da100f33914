#include "cli/tools_check.hpp"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <map>

#include "cli/criu_command.hpp"
#include "cli/criu_process.hpp"

namespace lockstep::cli {
namespace {

constexpr std::string_view kHookName = "lockstep-hook";
constexpr milliseconds kVersionLimit{10'000};

Failure bad_criu(const GroupMember& member, std::string why) {
  return fail(ErrorCode::invalid, "member \"" + member.id.value + "\": criu \"" + member.criu.front() + "\"",
              std::move(why));
}

Result<CriuVersion> version_of(const GroupMember& member) {
  std::vector<std::string> argv = member.criu;
  argv.emplace_back("--version");
  const auto printed = run_program(argv, kVersionLimit);
  if (!printed) {
    const bool missing = printed.error().code == ErrorCode::not_found;
    return bad_criu(member, missing ? "not found; install CRIU, or name it by \"criu:\"" : printed.error().message());
  }
  if (!printed->exit.ok()) {
    return bad_criu(member, "--version: " + printed->exit.text() + ": " + printed->output.substr(0, 200));
  }
  auto version = parse_criu_version(printed->output);
  if (!version) return bad_criu(member, version.error().message());
  return version;
}

bool is_executable_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

bool kernel_is_at_least(std::string_view release, int major, int minor) {
  int have_major = 0;
  int have_minor = 0;
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, have_major);
  if (error != std::errc{} || dot == end) return false;
  std::from_chars(dot + 1, end, have_minor);
  return have_major != major ? have_major > major : have_minor >= minor;
}

Result<std::vector<std::string>> check_criu(const GroupFile& group) {
  std::vector<std::string> warnings;
  std::map<std::vector<std::string>, CriuVersion> known;
  utsname kernel{};
  ::uname(&kernel);
  for (const GroupMember& member : group.members) {
    if (member.driver != Driver::criu || known.contains(member.criu)) continue;
    const auto version = version_of(member);
    if (!version) return Failure(version.error());
    known.emplace(member.criu, *version);
    if (*version < kOldestCriu) {
      return bad_criu(member, "version " + version->text() + " is too old: " + kOldestCriu.text() +
                                  " is the first with \"--network-lock skip\"");
    }
    if (*version < kCriuForNewKernels && kernel_is_at_least(kernel.release, 6, 16)) {
      warnings.push_back("criu \"" + member.criu.front() + "\" is version " + version->text() + ": before " +
                         kCriuForNewKernels.text() + " it may fail to dump TCP sockets on this kernel (" +
                         kernel.release + ")");
    }
  }
  return warnings;
}

Result<std::string> find_hook(const GroupFile& group) {
  if (!group.hook.empty()) {
    if (is_executable_file(group.hook)) return group.hook;
    return fail(ErrorCode::invalid, group.path + ": hook", group.hook + " is not there, or is no program");
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::system, "read /proc/self/exe", error.message());
  const auto folder = self.parent_path();
  for (const auto& place : {folder / kHookName, folder.parent_path() / "libexec" / "lockstep" / kHookName}) {
    if (is_executable_file(place.string())) return place.string();
  }
  return fail(ErrorCode::invalid, "hook",
              std::string(kHookName) + " is not in " + folder.string() + " nor in " +
                  (folder.parent_path() / "libexec" / "lockstep").string() + "; name it by \"hook:\" in " + group.path);
}

}  // namespace lockstep::cli
