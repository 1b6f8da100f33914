#include "broker/groups_file.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <utility>

#include "broker/core/broker_core.hpp"
#include "common/config.hpp"
#include "schemas/group_keys.hpp"

namespace lockstep::broker {
namespace {

constexpr seconds kLookAgain{10};
constexpr std::size_t kMaxGroups = 4'096;

/// Kubernetes' uids, those of its static pods, and the ids of Podman's pods.
void read_pod_uid(Config& config, std::string& out) {
  config.text("pod_uid", out);
  constexpr std::array<std::size_t, 4> kLengths{0, 32, 36, 64};
  const bool is_uid = out.find_first_not_of("0123456789abcdef-") == std::string::npos &&
                      std::ranges::find(kLengths, out.size()) != kLengths.end();
  if (!is_uid) config.complain("pod_uid", "expected a pod's uid (Kubernetes) or its whole id (Podman)");
}

RoundMember read_member(Config& config) {
  RoundMember member;
  read_name(config, "id", member.id.value);
  read_container_id(config, "container", member.container);
  read_pod_uid(config, member.pod_uid);
  read_policy(config, member.policy);
  return member;
}

/// Of all groups: what could be two members would be none.
class Taken {
 public:
  void claim(Config& config, const RoundMember& member, const GroupId& group) {
    if (member.container.empty()) return;
    const std::string who = member.id.value + " of group " + group.value;
    // Where one is the beginning of another, they stand side by side.
    const auto next = by_container_.lower_bound(member.container);
    const auto complain = [&](const auto& other) {
      config.complain("container", "\"" + member.container + "\" fits \"" + other.first + "\" of member " +
                                       other.second + " as well; write more of both ids");
    };
    if (next != by_container_.end() && next->first.starts_with(member.container)) return complain(*next);
    if (next != by_container_.begin() && member.container.starts_with(std::prev(next)->first))
      return complain(*std::prev(next));
    by_container_.emplace(member.container, who);
  }

 private:
  std::map<std::string, std::string> by_container_;
};

StandingGroup read_group(Config& config, milliseconds silence, Taken& taken) {
  StandingGroup group;
  OpenRound& plan = group.plan;
  read_name(config, "group", group.group.value);
  config.flag("leave_running", plan.leave_running);
  read_order(config, plan.order);
  read_deadlines(config, plan.deadlines);
  plan.lease_ms = std::max(plan.lease_ms, least_lease_ms(silence));
  read_lease(config, plan.lease_ms);
  read_policy(config, plan.policy);
  config.require("members");
  auto members = config.sections("members");
  if (config.has("members") && members.empty()) config.complain("members", "a group has at least one member");
  if (members.size() > kMaxGroupMembers) {
    config.complain("members", "a group has at most " + std::to_string(kMaxGroupMembers) + " members");
  }
  for (Config& member : members) {
    plan.members.push_back(read_member(member));
    taken.claim(member, plan.members.back(), group.group);
  }
  if (plan.lease_ms < least_lease_ms(silence)) {
    config.complain(
        "lease", "must be at least " + std::to_string(least_lease_ms(silence)) + "ms, four times the broker's silence");
  }
  if (plan.order == MemberOrder::serial && !plan.leave_running) {
    config.complain(
        "order", "serial needs leave_running: yes; one that is killed before the others are dumped can't be had back");
  }
  if (const auto wrong = check_plan(plan)) config.complain({}, *wrong);
  return group;
}

Result<std::vector<StandingGroup>> read(Config file, milliseconds silence) {
  std::vector<StandingGroup> groups;
  Taken taken;
  std::map<GroupId, std::size_t> names;
  file.require("groups");
  auto sections = file.sections("groups");
  if (sections.size() > kMaxGroups)
    file.complain("groups", "there are at most " + std::to_string(kMaxGroups) + " groups");
  for (Config& section : sections) {
    groups.push_back(read_group(section, silence, taken));
    if (!names.emplace(groups.back().group, groups.size()).second) {
      section.complain("group", "\"" + groups.back().group.value + "\" is there twice");
    }
  }
  if (auto done = file.finish(); !done) return Failure(done.error());
  return groups;
}

/// Changes when the file does, or another one takes its place.
Result<std::string> signature_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) < 0) return fail_errno("stat " + path);
  std::string signature;
  for (const auto number :
       {static_cast<std::int64_t>(found.st_dev), static_cast<std::int64_t>(found.st_ino),
        static_cast<std::int64_t>(found.st_size), std::int64_t{found.st_mtim.tv_sec},
        std::int64_t{found.st_mtim.tv_nsec}, std::int64_t{found.st_ctim.tv_sec}, std::int64_t{found.st_ctim.tv_nsec}}) {
    signature += std::to_string(number) + " ";
  }
  return signature;
}

}  // namespace

Result<std::vector<StandingGroup>> load_standing_groups(const std::string& path, milliseconds silence) {
  auto file = Config::load(path);
  if (!file) return Failure(file.error());
  return read(std::move(*file), silence);
}

Result<std::vector<StandingGroup>> parse_standing_groups(const std::string& yaml, const std::string& name,
                                                         milliseconds silence) {
  auto file = Config::parse(yaml, name);
  if (!file) return Failure(file.error());
  return read(std::move(*file), silence);
}

Result<GroupsFile> GroupsFile::open(std::string path, milliseconds silence) {
  GroupsFile file(std::move(path), silence);
  file.watch_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!file.watch_) return fail_errno("inotify_init1", "without it changes of " + file.path_ + " are not seen");
  constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVE | IN_CREATE | IN_DELETE;
  const std::string folder = std::filesystem::path(file.path_).parent_path().string();
  if (::inotify_add_watch(file.watch_.get(), folder.c_str(), kEvents) < 0) return fail_errno("watch " + folder);
  return file;
}

std::optional<Result<std::vector<StandingGroup>>> GroupsFile::look() {
  std::array<char, 4'096> events;
  while (::read(watch_.get(), events.data(), events.size()) > 0) {
  }
  next_look_ = Clock::now() + kLookAgain;
  const auto signature = signature_of(path_);
  if (signature && *signature == last_read_) return std::nullopt;
  auto groups = signature ? load_standing_groups(path_, silence_)
                          : Result<std::vector<StandingGroup>>(Failure(signature.error()));
  if (groups) {
    last_read_ = *signature;
    last_complaint_.clear();
    return groups;
  }
  if (std::exchange(last_complaint_, groups.error().message()) == groups.error().message()) return std::nullopt;
  return groups;
}

}  // namespace lockstep::broker
