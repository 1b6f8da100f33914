#include "cli/podman_driver.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/criu_process.hpp"
#include "cli/export_folder.hpp"
#include "cli/files.hpp"
#include "cli/pod_search.hpp"
#include "cli/podman_command.hpp"
#include "cli/runtime_config.hpp"

namespace lockstep::cli {
namespace {

constexpr milliseconds kInspectLimit{20'000};
constexpr std::size_t kConfigLimit = 4 * 1024 * 1024;

/// What Podman has printed, without the lines of its log.
std::string complaint(const std::string& output) {
  const std::string lines = error_lines(output, 1024);
  return lines.empty() ? output.substr(0, output.find('\n')) : lines;
}

/// Runs an inspecting command; not_found when Podman does not know the thing.
Result<std::string> inspect(const GroupMember& member, const std::string& kind, const std::string& name) {
  std::vector<std::string> argv = member.podman;
  // --log-level: a warning among the JSON would be no JSON.
  argv.insert(argv.end(), {"--log-level", "fatal", kind, "inspect", name});
  const auto printed = run_program(argv, kInspectLimit);
  if (!printed) {
    const bool missing = printed.error().code == ErrorCode::not_found;
    return bad_member(member.id,
                      missing ? "podman \"" + argv.front() + "\" not found; install it, or name it by \"podman:\""
                              : printed.error().message());
  }
  if (printed->exit.ok()) return printed->output;
  return bad_member(member.id, "podman has no such " + kind + ": " + complaint(printed->output), ErrorCode::not_found);
}

Result<PodmanContainer> inspect_container(const GroupMember& member, const std::string& name) {
  const auto json = inspect(member, "container", name);
  if (!json) return Failure(json.error());
  auto container = parse_podman_container(*json);
  if (!container) return bad_member(member.id, container.error().message());
  return container;
}

Result<PodmanPod> inspect_pod(const GroupMember& member, const std::string& name) {
  const auto json = inspect(member, "pod", name);
  if (!json) return Failure(json.error());
  auto pod = parse_podman_pod(*json);
  if (!pod) return bad_member(member.id, pod.error().message());
  return pod;
}

/// The temporary folder to pack a folder for Podman in; empty where there is an archive to be imported, or nothing.
std::string packing_place(const ReadyMember& ready) {
  return names_export_folder(ready.archive) ? ready.unpacked.path() : std::string();
}

Result<void> stage(ReadyMember& ready) {
  auto staging = TempFolder::make_beside(ready.archive);
  if (!staging) return bad_member(ready.member->id, staging.error().message());
  ready.unpacked = std::move(*staging);
  return {};
}

std::string images_of(const PodmanContainer& container) {
  return container.static_dir + "/" + std::string(kArchivedImages);
}

/// A container with a network namespace of its own gets a new one from Podman when it is restored: no agent could be in
/// it, and its address would be another one.
Result<void> check_in_pod(const GroupMember& member, const PodmanContainer& container) {
  if (!container.network_of.empty()) return {};
  return bad_member(member.id, "container " + container.name +
                                   " is in no pod: its network namespace would not outlive "
                                   "it; create it with --pod");
}

/// Images, log and statistics of a container that Podman has.
Result<ReadyMember> ready_in_place(const GroupMember& member, const PodmanContainer& container) {
  if (auto in_pod = check_in_pod(member, container); !in_pod) return Failure(in_pod.error());
  ReadyMember ready;
  ready.member = &member;
  ready.container = container.id;
  ready.images = images_of(container);
  ready.work = container.static_dir;
  ready.archive = member.images;
  return ready;
}

/// A finding, since the user may know better (--no-preflight).
void look_at_runtime(ReadyMember& ready, const PodmanContainer& container) {
  const auto trouble = runtime_trouble(container.runtime);
  if (!trouble) return;
  Finding finding;
  finding.severity = Severity::fatal;
  finding.what = trouble->what;
  finding.remedy = trouble->remedy;
  ready.findings.push_back(std::move(finding));
}

/// Without the hook it would come back unlocked, and before the others.
Result<void> check_runtime(const GroupMember& member, const ContainerRuntime& runtime) {
  const auto trouble = runtime_trouble(runtime);
  if (!trouble) return {};
  return bad_member(member.id, trouble->what + "; " + trouble->remedy);
}

Result<void> check_may_come_back(const GroupMember& member, const std::string& id) {
  const auto container = inspect_container(member, id);
  if (!container) return Failure(container.error());
  if (container->running) {
    return bad_member(member.id, "container " + container->name + " runs: stop it first (podman stop)",
                      ErrorCode::conflict);
  }
  return check_runtime(member, container->runtime);
}

/// A container under the name or the id of the archived one would be in the way.
Result<void> check_name_is_free(const GroupMember& member, const ReadyMember& archived) {
  for (const std::string& name : {archived.container_name, archived.container}) {
    if (name.empty()) continue;
    const auto other = inspect_container(member, name);
    if (!other && other.error().code == ErrorCode::not_found) continue;
    if (!other) return Failure(other.error());
    return bad_member(member.id,
                      "container " + other->name + " still exists (" + other->status + "): remove it (podman rm " +
                          other->name + "), the restore makes it anew",
                      ErrorCode::conflict);
  }
  return {};
}

/// `images`: CRIU's folder. The descriptions are beside it.
Result<ArchivedContainer> read_archived_container(const GroupMember& member, const std::filesystem::path& images) {
  const std::string folder = images.parent_path();
  const auto config = read_file(folder + "/" + std::string(kArchivedConfig), kConfigLimit);
  if (!config) return bad_member(member.id, member.images + ": " + config.error().message());
  const auto spec = read_file(folder + "/" + std::string(kArchivedSpec), kConfigLimit);
  if (!spec) return bad_member(member.id, member.images + ": " + spec.error().message());
  auto archived = parse_archived_container(*config, *spec);
  if (!archived) return bad_member(member.id, member.images + ": " + archived.error().message());
  return archived;
}

Result<ReadyMember> ready_from_archive(const GroupMember& member) {
  if (names_export_folder(member.images) && !holds_export(member.images)) {
    return bad_member(member.id, member.images + " is no folder that holds a container's checkpoint",
                      ErrorCode::not_found);
  }
  auto opened = open_images(member.images);
  if (!opened) return bad_member(member.id, opened.error().message(), opened.error().code);
  const auto archived = read_archived_container(member, opened->folder);
  if (!archived) return Failure(archived.error());
  ReadyMember ready;
  ready.member = &member;
  ready.container = archived->id;
  ready.container_name = archived->name;
  ready.images = opened->folder;
  ready.work = archived->static_dir;
  ready.archive = member.images;
  ready.target_pod = member.pod.empty() ? archived->pod : member.pod;
  ready.unpacked = std::move(opened->unpacked);
  return ready;
}

Result<void> take_namespace_of(ReadyMember& ready, const std::string& infra, const ThisMachine& machine) {
  const auto container = inspect_container(*ready.member, infra);
  if (!container) return Failure(container.error());
  if (!container->running) {
    return bad_member(ready.member->id, "its pod does not run (container " + container->name + " is " +
                                            container->status + "): start it first (podman pod start)");
  }
  auto pod = open_pod("/proc/" + std::to_string(container->pid) + "/ns/net");
  if (!pod) return bad_member(ready.member->id, pod.error().message());
  return take_pod(ready, std::move(pod->netns), pod->inode, std::move(pod->path), machine);
}

}  // namespace

Result<ReadyMember> PodmanDriver::find_tree(const GroupMember& member, const ThisMachine& machine) const {
  const auto container = inspect_container(member, member.container);
  if (!container) return Failure(container.error());
  if (!container->running) {
    return bad_member(member.id, "container " + container->name + " does not run: it is " + container->status);
  }
  auto ready = ready_in_place(member, *container);
  if (!ready) return ready;
  auto seen = look_at_tree(*ready, container->pid, "podman inspect", machine);
  if (!seen) return Failure(seen.error());
  look_at_runtime(*ready, *container);
  if (ready->archive.empty()) return ready;
  if (names_export_folder(ready->archive)) {
    if (auto place = check_export_place(ready->archive); !place) {
      return bad_member(member.id, place.error().message(), place.error().code);
    }
  } else {
    const auto folder = std::filesystem::path(ready->archive).parent_path();
    if (auto writable = check_writable(member.id, folder); !writable) return Failure(writable.error());
  }
  if (auto staged = stage(*ready); !staged) return Failure(staged.error());
  return ready;
}

Result<ReadyMember> PodmanDriver::find_images(const GroupMember& member) const {
  auto ready = [&]() -> Result<ReadyMember> {
    if (!member.images.empty()) return ready_from_archive(member);
    const auto container = inspect_container(member, member.container);
    if (!container) return Failure(container.error());
    auto found = ready_in_place(member, *container);
    if (found) found->target_pod = container->network_of;
    return found;
  }();
  if (!ready) return ready;
  auto record = read_record(ready->images);
  if (!record) return bad_member(member.id, record.error().message(), record.error().code);
  ready->pid = record->root_pid;
  ready->record = std::move(*record);
  return ready;
}

Result<void> PodmanDriver::find_place(ReadyMember& ready, const ThisMachine& machine) const {
  if (ready.archive.empty()) {
    if (auto ended = check_may_come_back(*ready.member, ready.container); !ended) return ended;
    return take_namespace_of(ready, ready.target_pod, machine);
  }
  if (auto is_free = check_name_is_free(*ready.member, ready); !is_free) return is_free;
  if (ready.target_pod.empty()) {
    return bad_member(ready.member->id, "its archive tells of no pod: name the one to restore into by \"pod:\"");
  }
  const auto pod = inspect_pod(*ready.member, ready.target_pod);
  if (!pod && pod.error().code == ErrorCode::not_found && ready.member->pod.empty()) {
    return bad_member(ready.member->id, "the pod that it was dumped from is gone: name one by \"pod:\"");
  }
  if (!pod) return Failure(pod.error());
  ready.target_pod = pod->id;  // Podman takes nothing else for an imported container
  const auto archived = read_archived_container(*ready.member, ready.images);
  if (!archived) return Failure(archived.error());
  if (auto hooked = check_runtime(*ready.member, archived->runtime); !hooked) return hooked;
  if (names_export_folder(ready.archive)) {
    if (auto staged = stage(ready); !staged) return staged;
  }
  return take_namespace_of(ready, pod->infra, machine);
}

CriuCommand PodmanDriver::dump(const RoundContext& /*context*/, const ReadyMember& ready, bool leave_running) const {
  return podman_checkpoint(*ready.member, ready.container, ready.work, leave_running, ready.unpacked.path());
}

CriuCommand PodmanDriver::restore(const RoundContext& /*context*/, const ReadyMember& ready) const {
  // The folder of a container that is to be imported is not there yet.
  const bool import = !ready.archive.empty();
  return podman_restore(*ready.member, ready.container, ready.target_pod, import ? ready.unpacked.path() : ready.work,
                        ready.work, packing_place(ready));
}

Result<void> PodmanDriver::keep(const ReadyMember& ready) const {
  if (ready.archive.empty()) return {};
  return names_export_folder(ready.archive) ? put_export_in_place(ready.unpacked.path(), ready.archive)
                                            : put_archive_in_place(ready.unpacked.path(), ready.archive);
}

Result<pid_t> PodmanDriver::restored_pid(const ReadyMember& ready) const {
  const auto container = inspect_container(*ready.member, ready.container);
  if (!container) return Failure(container.error());
  if (container->running) return container->pid;
  return bad_member(ready.member->id, "container " + container->name + " does not run", ErrorCode::not_found);
}

}  // namespace lockstep::cli
