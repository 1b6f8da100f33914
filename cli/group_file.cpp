#include "cli/group_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <span>

#include "cli/images_archive.hpp"
#include "cli/kubernetes/names.hpp"
#include "common/broker_connection.hpp"
#include "common/config.hpp"
#include "common/endpoints.hpp"

namespace lockstep::cli {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr pid_t kMaxPid = 4'194'304;  // the kernel's PID_MAX_LIMIT
/// With the longest deadline less than what a hook waits for its verdict.
constexpr milliseconds kLongestCommand = 30min;
/// Options that lockstep gives to CRIU itself: a second, different one would break the round.
constexpr std::array<std::string_view, 14> kOwnOptions{"--action-script",
                                                       "--network-lock",
                                                       "--images-dir",
                                                       "-D",
                                                       "--work-dir",
                                                       "-W",
                                                       "--tree",
                                                       "-t",
                                                       "--leave-running",
                                                       "-R",
                                                       "-s",
                                                       "--tcp-close",
                                                       "--log-file",
                                                       "-o"};
constexpr std::array<std::string_view, 12> kOwnPodmanOptions{
    "--export", "-e", "--import", "-i", "--compress", "-c", "--leave-running", "-R", "--keep", "-k", "--pod", "--name"};

std::string absolute(const std::filesystem::path& folder, const std::string& path) {
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

/// A program with a slash is a path, as in a shell; one without is looked up in PATH when it is started.
std::string program(const std::filesystem::path& folder, const std::string& name) {
  return name.find('/') == std::string::npos ? name : absolute(folder, name);
}

void read_endpoint(Config& config, std::string_view key, std::string& out) {
  config.text(key, out);
  if (out.empty()) return;
  const auto endpoint = parse_endpoint(out);
  if (!endpoint) return config.complain(key, endpoint.error().message());
  if (endpoint->host == "*") config.complain(key, "\"*\" is where a broker listens; name its address");
}

/// A program and its first arguments.
void read_command(Config& config, std::string_view key, const std::filesystem::path& folder,
                  std::vector<std::string>& command) {
  config.texts(key, command, true);
  if (command.empty()) return config.complain(key, "is an empty list; name the program");
  command.front() = program(folder, command.front());
}

void read_options(Config& config, std::string_view key, std::span<const std::string_view> own,
                  std::vector<std::string>& options) {
  std::vector<std::string> more;
  config.texts(key, more);
  for (const auto& option : more) {
    const std::string_view word = std::string_view(option).substr(0, option.find('='));
    // The value of a short one may follow at once: -D/images.
    const auto is_ours = [&](std::string_view name) {
      return word == name || (!name.starts_with("--") && word.starts_with(name));
    };
    const auto ours = std::ranges::find_if(own, is_ours);
    if (ours == own.end()) continue;
    return config.complain(key, std::string(*ours) + " is set by lockstep, or would undo what it does");
  }
  options.insert(options.end(), more.begin(), more.end());
}

void read_kubernetes(Config& config, const std::filesystem::path& folder, KubernetesSettings& settings) {
  auto section = config.section("kubernetes");
  if (!section) return;
  section->text("kubeconfig", settings.kubeconfig);
  settings.kubeconfig = absolute(folder, settings.kubeconfig);
  section->text("context", settings.context);
}

/// The same keys for the group and for a member.
void read_driver(Config& config, const std::filesystem::path& folder, GroupMember& member) {
  config.choice("driver", member.driver,
                {{"criu", Driver::criu}, {"podman", Driver::podman}, {"kubelet", Driver::kubelet}});
  read_kubernetes(config, folder, member.kubernetes);
  read_command(config, "criu", folder, member.criu);
  read_options(config, "criu_options", kOwnOptions, member.criu_options);
  read_command(config, "podman", folder, member.podman);
  read_options(config, "podman_options", kOwnPodmanOptions, member.podman_options);
}

/// `before: prepare`, `at: frozen` or `after: resume`: the word in front is there to be read, and has to fit.
void read_moment(Config& config, CommandMoment& moment) {
  constexpr std::array<std::string_view, kCommandMoments> kWords{"before", "at", "after"};
  const auto named = std::ranges::count_if(kWords, [&](std::string_view word) { return config.has(word); });
  if (named != 1)
    config.complain({}, "when does it run? One of \"before: prepare\", \"at: frozen\", \"after: resume\"");
  config.choice("before", moment, {{"prepare", CommandMoment::prepare}});
  config.choice("at", moment, {{"frozen", CommandMoment::frozen}});
  config.choice("after", moment, {{"resume", CommandMoment::resume}});
}

MemberCommand read_command(Config& config, const std::filesystem::path& folder) {
  MemberCommand command;
  read_moment(config, command.moment);
  config.require("run");
  const bool words = config.is_list("run");
  config.texts("run", command.argv, true);
  for (const std::string& word : command.argv) command.text += (command.text.empty() ? "" : " ") + word;
  if (command.argv.empty()) {
    config.complain("run", "names no program");
  } else if (words) {
    command.argv.front() = program(folder, command.argv.front());
  } else {
    command.argv = {"/bin/sh", "-c", command.text};
  }
  config.duration("timeout", command.timeout, 100ms, kLongestCommand);
  enum class On { dump, restore, both } on = On::dump;
  config.choice("on", on, {{"dump", On::dump}, {"restore", On::restore}, {"both", On::both}});
  command.on_dump = on != On::restore;
  command.on_restore = on != On::dump;
  return command;
}

void read_commands(Config& config, const std::filesystem::path& folder, std::vector<MemberCommand>& commands) {
  auto sections = config.sections("commands");
  if (sections.size() > kMaxCommands) {
    return config.complain("commands", "a member has at most " + std::to_string(kMaxCommands) + " commands");
  }
  for (auto& section : sections) commands.push_back(read_command(section, folder));
  for (const CommandMoment moment : {CommandMoment::prepare, CommandMoment::frozen}) {
    if (longest(commands, moment) <= kLongestCommand) continue;
    config.complain("commands", "those of one moment may take " + format_duration(kLongestCommand) + " together, not " +
                                    format_duration(longest(commands, moment)));
  }
}

/// A process tree: named by its root's pid, and its images by a folder.
void read_tree(Config& config, const std::filesystem::path& folder, GroupMember& member) {
  if (config.has("pid") && config.has("pidfile")) {
    config.complain("pid", "name the tree by pid or by pidfile, not by both");
  } else if (!config.has("pid") && !config.has("pidfile")) {
    config.complain({}, "pid or pidfile is missing: how is the tree's root process found?");
  }
  pid_t pid = 0;
  config.number("pid", pid, 1, kMaxPid);
  if (pid != 0) member.pid = pid;
  config.text("pidfile", member.pidfile);
  config.require("images");
  config.text("images", member.images);
  config.text("pod", member.pod);
  config.text("container", member.container);
  if (!member.container.empty() && !is_valid_name(member.container)) {
    config.complain("container", "expected a container id, or its beginning");
  }
  for (auto* path : {&member.pidfile, &member.images, &member.pod}) *path = absolute(folder, *path);
}

/// Keys of another driver: known, so that the complaint can say more.
void refuse_keys(Config& config, std::initializer_list<std::string_view> keys, const std::string& why) {
  for (const std::string_view key : keys) {
    std::string unused;
    if (!config.has(key)) continue;
    config.text(key, unused);
    config.complain(key, why);
  }
}

/// A container of Podman's. Its images have their place, unless they are to be exported.
void read_container(Config& config, const std::filesystem::path& folder, GroupMember& member) {
  config.require("container");
  config.text("container", member.container);
  if (!member.container.empty() && !is_valid_name(member.container)) {
    config.complain("container", "expected a container's name or id");
  }
  refuse_keys(config, {"pid", "pidfile"}, "is for \"driver: criu\"; Podman knows its container's process");
  config.text("images", member.images);
  member.images = absolute(folder, member.images);
  if (compression_of(member.images).empty() && is_archive_name(member.images)) {
    config.complain("images",
                    "expected a folder, or an archive that is called .tar, .tar.gz or .tar.zst; without this key the "
                    "images stay in Podman's own folder");
  }
  config.text("pod", member.pod);
  if (!member.pod.empty() && !is_valid_name(member.pod)) config.complain("pod", "expected a pod's name or id");
  if (!member.pod.empty() && member.images.empty()) {
    config.complain("pod",
                    "is for containers that are restored from an archive or a folder (\"images\"); others come back in "
                    "their own pod");
  }
}

/// A container of a Pod, somewhere in a cluster.
void read_kubelet(Config& config, GroupMember& member) {
  const auto name = [&](std::string_view key, std::string& out, bool (*valid)(std::string_view), const char* what) {
    config.text(key, out);
    if (!out.empty() && !valid(out)) config.complain(key, std::string("\"") + out + "\" is no name of a " + what);
  };
  config.require("pod");
  config.require("container");
  name("namespace", member.ns, is_dns_label, "namespace: up to 63 lower-case letters, digits and hyphens");
  name("pod", member.pod, is_dns_subdomain, "pod: lower-case letters, digits, hyphens and dots");
  name("container", member.container, is_dns_label, "container: up to 63 lower-case letters, digits and hyphens");
  name("node", member.node, is_dns_subdomain, "node: lower-case letters, digits, hyphens and dots");
  refuse_keys(config, {"pid", "pidfile"}, "is for \"driver: criu\"; the node's runtime knows its container's process");
  refuse_keys(config, {"images"}, "is for other drivers: the kubelet chooses the archive, on its node, and says which");
}

GroupMember read_member(Config& config, const std::filesystem::path& folder, const GroupMember& defaults) {
  GroupMember member = defaults;
  read_name(config, "id", member.id.value);
  read_driver(config, folder, member);
  switch (member.driver) {
    case Driver::criu: read_tree(config, folder, member); break;
    case Driver::podman: read_container(config, folder, member); break;
    case Driver::kubelet: read_kubelet(config, member); break;
  }
  read_policy(config, member.policy);
  read_commands(config, folder, member.commands);
  return member;
}

/// "images/" and "images" are one folder.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

/// The folder of a container is replaced as a whole: what others keep in it would go with it.
void check_nested(std::vector<Config>& configs, const std::vector<GroupMember>& members) {
  for (const GroupMember& outer : members) {
    if (outer.driver != Driver::podman || outer.images.empty()) continue;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (!members[i].images.starts_with(outer.images + "/")) continue;
      configs[i].complain("images", "is in \"" + outer.images + "\", which is replaced as a whole when member \"" +
                                        outer.id.value + "\" is checkpointed");
    }
  }
}

/// What no two members may have in common.
void check_distinct(std::vector<Config>& configs, std::vector<GroupMember>& members) {
  std::map<std::string, std::string> taken;  // kind and value -> the member that has it
  const auto claim = [&](Config& config, std::string_view key, const std::string& value, const std::string& id) {
    if (value.empty()) return;
    const auto [entry, fresh] = taken.emplace(std::string(key) + " " + value, id);
    if (!fresh) config.complain(key, "\"" + value + "\" is also that of member \"" + entry->second + "\"");
  };
  for (std::size_t i = 0; i < members.size(); ++i) {
    GroupMember& member = members[i];
    member.images = without_slash(member.images);
    claim(configs[i], "id", member.id.value, "#" + std::to_string(i));
    claim(configs[i], "images", member.images, member.id.value);
    if (member.driver == Driver::podman) claim(configs[i], "container", member.container, member.id.value);
    if (member.driver == Driver::kubelet) {
      claim(configs[i], "container", member.ns + "/" + member.pod + "/" + member.container, member.id.value);
    }
    claim(configs[i], "pidfile", member.pidfile, member.id.value);
    if (member.pid) claim(configs[i], "pid", std::to_string(*member.pid), member.id.value);
  }
}

/// Podman, the kubelet and their runtimes have no word for it: what reaches their CRIU is a file, for all dumps.
void check_skipping(Config& config, const GroupFile& group) {
  const auto other = std::ranges::find_if(group.members, [](const auto& each) { return each.driver != Driver::criu; });
  if (!group.skip_in_flight || other == group.members.end()) return;
  config.complain(
      "skip_in_flight",
      "--skip-in-flight can't be handed to the CRIU of member \"" + other->id.value +
          "\", a container: neither Podman nor the kubelet nor their runtimes have a word for it. Leave this "
          "key out; a line \"skip-in-flight\" in /etc/criu/runc.conf (or crun.conf) has every dump of theirs "
          "skip such connections");
}

void read_members(Config& config, const std::filesystem::path& folder, GroupFile& group) {
  GroupMember defaults;
  defaults.criu = {"criu"};
  defaults.podman = {"podman"};
  read_driver(config, folder, defaults);
  config.require("members");
  auto sections = config.sections("members");
  if (config.has("members") && sections.empty()) config.complain("members", "a group has at least one member");
  if (sections.size() > kMaxGroupMembers) {
    config.complain("members", "a group has at most " + std::to_string(kMaxGroupMembers) + " members");
  }
  for (auto& section : sections) group.members.push_back(read_member(section, folder, defaults));
  check_distinct(sections, group.members);
  check_nested(sections, group.members);
}

Result<GroupFile> read_group(Config config, const std::string& name, const std::filesystem::path& folder) {
  GroupFile group;
  group.path = name;
  read_name(config, "group", group.group.value);
  read_endpoint(config, "broker", group.broker);
  read_endpoint(config, "releases", group.releases);
  config.text("key", group.key);
  if (group.key != kNoKey) group.key = absolute(folder, group.key);
  config.text("socket_dir", group.socket_dir);
  config.text("hook", group.hook);
  group.socket_dir = absolute(folder, group.socket_dir);
  group.hook = absolute(folder, group.hook);
  read_deadlines(config, group.deadlines);
  read_lease(config, group.lease_ms);
  read_policy(config, group.policy);
  read_order(config, group.order);
  config.number("in_flight_retries", group.in_flight_retries, 0, kMaxInFlightRetries);
  config.flag("skip_in_flight", group.skip_in_flight);
  read_members(config, folder, group);
  check_skipping(config, group);
  if (auto done = config.finish(); !done) return Failure(done.error());
  return group;
}

}  // namespace

Result<GroupFile> load_group_file(const std::string& path) {
  auto config = Config::load(path);
  if (!config) return Failure(config.error());
  std::error_code error;
  const auto folder = std::filesystem::absolute(path, error).parent_path();
  if (error) return fail(ErrorCode::system, "working folder of " + path, error.message());
  return read_group(std::move(*config), path, folder);
}

Result<GroupFile> parse_group_file(const std::string& yaml, const std::string& name, const std::string& folder) {
  auto config = Config::parse(yaml, name);
  if (!config) return Failure(config.error());
  return read_group(std::move(*config), name, folder);
}

}  // namespace lockstep::cli
