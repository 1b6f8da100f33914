#include "cli/podman_command.hpp"

#include <nlohmann/json.hpp>

#include "cli/export_folder.hpp"
#include "cli/images_archive.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::json;

/// The annotation that names CRIU's configuration file.
constexpr auto kCriuConfig = "org.criu.config";

/// The member at `path` ("State", "Pid"), null when it is not there.
Json at(const Json& object, std::initializer_list<const char*> path) {
  const Json* place = &object;
  for (const char* key : path) {
    if (!place->is_object() || !place->contains(key)) return {};
    place = &(*place)[key];
  }
  return *place;
}

std::string text_at(const Json& object, std::initializer_list<const char*> path) {
  const Json value = at(object, path);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// The answer's object, which some versions of Podman put into a list.
Result<Json> object_in(std::string_view json, const std::string& what) {
  Json parsed = Json::parse(json, nullptr, false);
  if (parsed.is_array() && parsed.size() == 1) parsed = Json(parsed[0]);
  if (!parsed.is_object()) return fail(ErrorCode::invalid, what, "is not what this program understands");
  return parsed;
}

Failure lacks(const std::string& what, const char* key) {
  return fail(ErrorCode::invalid, what, std::string("has no \"") + key + "\"");
}

/// $1: the temporary folder. The rest is Podman's command, whose export is unpacked when it has succeeded.
constexpr auto kThenUnpack = R"(staging=$1; shift
rm -rf -- "$staging/images" "$staging/export.tar" && mkdir -- "$staging/images" || exit
"$@" || exit
tar --extract --numeric-owner --file "$staging/export.tar" --directory "$staging/images" && exec rm -- "$staging/export.tar"
echo "Error: the export was not unpacked in $staging; the checkpoint is in Podman's store alone"; exit 1)";

/// $1: the temporary folder, $2: the folder to be packed. The rest is Podman's command.
constexpr auto kPackFirst = R"(staging=$1 folder=$2; shift 2
(cd -- "$folder" && exec tar --create --numeric-owner --file "$staging/export.tar" -- *) && exec "$@"
echo "Error: $folder was not packed for Podman in $staging"; exit 1)";

std::string export_archive(const GroupMember& member, const std::string& staging) {
  return staging.empty() ? member.images : staged_archive(staging, member.images);
}

/// What is behind the words is the script's, with what others append to it.
void put_script_first(CriuCommand& command, const char* script, std::vector<std::string> words) {
  words.insert(words.begin(), {"sh", "-c", script, "sh"});
  command.argv.insert(command.argv.begin(), words.begin(), words.end());
}

CriuCommand command_of(const GroupMember& member, const char* operation) {
  CriuCommand command;
  command.argv = member.podman;
  command.argv.insert(command.argv.end(), {"container", operation, "--tcp-established", "--keep"});
  return command;
}

void end(CriuCommand& command, const GroupMember& member, const std::string& container) {
  command.argv.insert(command.argv.end(), member.podman_options.begin(), member.podman_options.end());
  if (!container.empty()) command.argv.push_back(container);
}

}  // namespace

Result<PodmanContainer> parse_podman_container(std::string_view json) {
  const std::string what = "podman container inspect";
  const auto object = object_in(json, what);
  if (!object) return Failure(object.error());
  PodmanContainer container;
  container.id = text_at(*object, {"Id"});
  container.name = text_at(*object, {"Name"});
  container.status = text_at(*object, {"State", "Status"});
  container.pod = text_at(*object, {"Pod"});
  container.static_dir = text_at(*object, {"StaticDir"});
  container.runtime = {text_at(*object, {"OCIRuntime"}), text_at(*object, {"Config", "Annotations", kCriuConfig})};
  const Json running = at(*object, {"State", "Running"});
  const Json pid = at(*object, {"State", "Pid"});
  container.running = running.is_boolean() && running.get<bool>();
  if (pid.is_number_integer()) container.pid = pid.get<pid_t>();
  constexpr std::string_view kShared = "container:";
  const std::string mode = text_at(*object, {"HostConfig", "NetworkMode"});
  if (mode.starts_with(kShared)) container.network_of = mode.substr(kShared.size());
  if (container.id.empty()) return lacks(what, "Id");
  if (container.static_dir.empty()) return lacks(what, "StaticDir");
  if (container.running && container.pid <= 0) return lacks(what, "State.Pid");
  return container;
}

Result<PodmanPod> parse_podman_pod(std::string_view json) {
  const std::string what = "podman pod inspect";
  const auto object = object_in(json, what);
  if (!object) return Failure(object.error());
  PodmanPod pod{text_at(*object, {"Id"}), text_at(*object, {"InfraContainerID"})};
  if (pod.id.empty()) return lacks(what, "Id");
  if (pod.infra.empty()) {
    return fail(ErrorCode::invalid, what, "the pod has no infra container, which would hold its network namespace");
  }
  return pod;
}

Result<ArchivedContainer> parse_archived_container(std::string_view config, std::string_view spec) {
  const std::string what(kArchivedConfig);
  const auto object = object_in(config, what);
  if (!object) return Failure(object.error());
  const auto specified = object_in(spec, std::string(kArchivedSpec));
  if (!specified) return Failure(specified.error());
  ArchivedContainer container{text_at(*object, {"id"}),
                              text_at(*object, {"name"}),
                              text_at(*object, {"pod"}),
                              text_at(*object, {"staticDir"}),
                              {text_at(*object, {"runtime"}), text_at(*specified, {"annotations", kCriuConfig})}};
  if (container.id.empty()) return lacks(what, "id");
  return container;
}

CriuCommand podman_checkpoint(const GroupMember& member, const std::string& container, const std::string& work,
                              bool leave_running, const std::string& staging) {
  CriuCommand command = command_of(member, "checkpoint");
  if (leave_running) command.argv.emplace_back("--leave-running");
  if (!member.images.empty()) {
    const std::string archive = export_archive(member, staging);
    command.argv.insert(command.argv.end(), {"--export", archive, "--compress", std::string(compression_of(archive))});
  }
  end(command, member, container);
  if (names_export_folder(member.images)) put_script_first(command, kThenUnpack, {staging});
  command.output = work + "/lockstep-dump.out";
  command.log = work + "/dump.log";
  return command;
}

CriuCommand podman_restore(const GroupMember& member, const std::string& container, const std::string& pod,
                           const std::string& work, const std::string& log_folder, const std::string& staging) {
  CriuCommand command = command_of(member, "restore");
  const bool import = !member.images.empty();
  if (import) command.argv.insert(command.argv.end(), {"--import", export_archive(member, staging), "--pod", pod});
  end(command, member, import ? std::string() : container);
  if (!staging.empty()) put_script_first(command, kPackFirst, {staging, member.images});
  command.output = work + "/lockstep-restore.out";
  command.log = log_folder + "/restore.log";
  return command;
}

}  // namespace lockstep::cli
