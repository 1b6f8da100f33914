#include "agent/hook/hook_environment.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace lockstep::hook {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Cuts `text` at `separator` and hands each piece to `use`.
template <class Use>
void for_each_piece(std::string_view text, char separator, const Use& use) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    use(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// The value of the last `key: value` line of a file; empty when there is none. Lines that begin with # are comments.
std::string_view value_of(std::string_view file, std::string_view key) {
  std::string_view found;
  for_each_piece(file, '\n', [&](std::string_view line) {
    line = trimmed(line);
    const std::size_t colon = line.find(':');
    if (line.starts_with('#') || colon == std::string_view::npos) return;
    if (trimmed(line.substr(0, colon)) == key) found = trimmed(line.substr(colon + 1));
  });
  return found;
}

/// A number that fills `text` and is not above `max`.
template <class T>
std::optional<T> number_in(std::string_view text, T max) {
  T value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && !text.empty();
  return whole && value <= max ? std::optional<T>(value) : std::nullopt;
}

Failure bad_value(std::string_view where, std::string_view value, std::string_view wanted) {
  return fail(ErrorCode::invalid, std::string(where) + "=" + std::string(value), "must be " + std::string(wanted));
}

/// One of the member's names, from its variable or else from its key in the member file.
template <class NameType>
Result<void> set_name(const Environment& environment, std::string_view variable, std::string_view file,
                      std::string_view key, NameType& name) {
  const auto set = environment.get(variable);
  const std::string_view value = set ? *set : value_of(file, key);
  if (!value.empty() && !is_valid_name(value)) {
    const std::string where = set ? std::string(variable) : std::string(kMemberFile) + ": " + std::string(key);
    return bad_value(where, value, "1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'");
  }
  name = NameType(std::string(value));
  return {};
}

/// A positive number of milliseconds, up to a day; `value` keeps its default when the variable is not set.
Result<void> set_duration(const Environment& environment, std::string_view variable, milliseconds& value) {
  constexpr std::uint32_t kDay = 24U * 3600U * 1000U;
  const auto set = environment.get(variable);
  if (!set || set->empty()) return {};
  const auto number = number_in<std::uint32_t>(*set, kDay);
  if (!number || *number == 0) return bad_value(variable, *set, "milliseconds, 1 to 86400000");
  value = milliseconds(*number);
  return {};
}

}  // namespace

std::optional<std::string_view> Environment::get(std::string_view name) const {
  for (const char* const* entry = entries_; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=') {
      return text.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

Result<Job> job_from(const Environment& environment, HookAction action) {
  Job job;
  job.action = action;
  job.images_dir = environment.get("CRTOOLS_IMAGE_DIR").value_or("");
  if (job.images_dir.empty()) {
    return fail(ErrorCode::invalid, "CRTOOLS_IMAGE_DIR", "not set; CRIU sets it for its action scripts");
  }
  const auto root = environment.get("CRTOOLS_INIT_PID").value_or("");
  // In pre-restore there is no root task; what the variable says then was inherited from somewhere else.
  if (!root.empty() && action != HookAction::pre_restore) {
    const auto pid = number_in<pid_t>(root, std::numeric_limits<pid_t>::max());
    if (!pid || *pid <= 0) return bad_value("CRTOOLS_INIT_PID", root, "a process id");
    job.root_pid = *pid;
  }
  const auto pod = environment.get("LOCKSTEP_POD").value_or("");
  if (!pod.empty()) {
    const auto inode = number_in<std::uint64_t>(pod, std::numeric_limits<std::uint64_t>::max());
    if (!inode) return bad_value("LOCKSTEP_POD", pod, "the inode of a network namespace, as 'stat -Lc %i' tells it");
    job.told_pod = *inode;
  }
  return job;
}

Result<MemberNames> member_from(const Environment& environment, std::string_view member_file) {
  MemberNames names;
  const auto round = set_name(environment, "LOCKSTEP_ROUND", member_file, "round", names.round);
  const auto group = set_name(environment, "LOCKSTEP_GROUP", member_file, "group", names.group);
  const auto member = set_name(environment, "LOCKSTEP_MEMBER", member_file, "member", names.member);
  for (const auto* set : {&round, &group, &member}) {
    if (!*set) return Failure(set->error());
  }
  return names;
}

Result<Settings> settings_from(const Environment& environment, std::string_view config_file) {
  Settings settings;
  const auto dir = environment.get("LOCKSTEP_SOCKET_DIR").value_or(value_of(config_file, "socket_dir"));
  if (!dir.empty() && !dir.starts_with('/')) return bad_value("socket_dir", dir, "an absolute path");
  if (!dir.empty()) settings.socket_dir = dir;
  settings.broker = environment.get("LOCKSTEP_BROKER").value_or(value_of(config_file, "broker"));
  settings.key = environment.get("LOCKSTEP_AGENT_KEY").value_or(value_of(config_file, "key"));
  if (!settings.key.empty() && settings.key != "none" && !settings.key.starts_with('/')) {
    return bad_value("key", settings.key, "an absolute path");
  }
  const auto silence = set_duration(environment, "LOCKSTEP_HOOK_SILENCE_MS", settings.silence);
  const auto limit = set_duration(environment, "LOCKSTEP_HOOK_LIMIT_MS", settings.limit);
  if (!silence) return Failure(silence.error());
  if (!limit) return Failure(limit.error());
  return settings;
}

}  // namespace lockstep::hook
