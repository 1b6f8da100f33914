#include "cli/hook_log.hpp"

#include "cli/files.hpp"

namespace lockstep::cli {
namespace {

/// Runtimes have CRIU log everything.
constexpr std::size_t kMaxLog = std::size_t{64} << 20;

}  // namespace

HookLog parse_hook_log(std::string_view log, Operation operation) {
  HookLog found;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const auto times = parse_log_line(log.substr(0, end));
    if (times && belongs_to(times->action, operation)) found[place_of(phase_of(times->action))] = times;
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
  }
  return found;
}

HookLog read_hook_log(const std::string& path, Operation operation) {
  const auto log = read_file(path, kMaxLog);
  return log ? parse_hook_log(*log, operation) : HookLog{};
}

}  // namespace lockstep::cli
