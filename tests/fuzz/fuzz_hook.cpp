// What the hook reads: its environment, lockstep.member, hook.conf, and texts of /proc. The pieces: the action, the two
// files, the texts of cgroup and stat, a descriptor's link, a criu-coordinator.json, the name that is looked for in it,
// and a NAME=value for each that is left.
#include "agent/hook/coordinator_file.hpp"
#include "agent/hook/hook_environment.hpp"
#include "agent/hook/proc_files.hpp"
#include "agent/hook/process_tree.hpp"
#include "common/cgroup_path.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace lockstep;

void check_names(const hook::MemberNames& names) {
  for (const std::string& name : {names.round.value, names.group.value, names.member.value}) {
    fuzz::expect(name.empty() || is_valid_name(name), "a name is a valid one, or none");
  }
}

void check_entry(const Result<hook::CoordinatorEntry>& entry) {
  if (!entry || entry->id.empty()) return;
  bool itself = false;
  for (const MemberId& id : entry->dependencies) {
    fuzz::expect(is_valid_name(id.value), "a dependency is a valid name");
    itself = itself || id == entry->id;
  }
  fuzz::expect(itself, "a member belongs to its own set");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Pieces input(fuzz::view_of(data, size));
  const auto action = static_cast<HookAction>(input.byte() % 7);
  const fuzz::Copy member_file(input.piece());
  const fuzz::Copy config_file(input.piece());
  const fuzz::Copy cgroup(input.piece());
  const fuzz::Copy stat(input.piece());
  const fuzz::Copy link(input.piece());
  const fuzz::Copy coordinator(input.piece());
  const std::string who(input.piece());
  std::vector<std::string> variables;
  while (!input.empty()) variables.emplace_back(input.piece());
  std::vector<const char*> entries;
  for (const std::string& variable : variables) entries.push_back(variable.c_str());
  entries.push_back(nullptr);
  const hook::Environment environment(entries.data());

  if (const auto job = hook::job_from(environment, action))
    fuzz::expect(job->root_pid >= 0, "a pid is none, or positive");
  if (const auto names = hook::member_from(environment, member_file.view())) check_names(*names);
  if (const auto settings = hook::settings_from(environment, config_file.view())) {
    fuzz::expect(settings->socket_dir.starts_with('/'), "the sockets' folder is an absolute path");
    fuzz::expect(settings->silence.count() > 0 && settings->limit.count() > 0, "limits are positive");
  }
  const std::string id = container_id_in(cgroup.view());
  fuzz::expect(id.empty() || id.size() == 64, "a container's id has 64 digits");
  const std::string pod = pod_uid_in(cgroup.view());
  fuzz::expect(pod.empty() || pod.size() == 32 || pod.size() == 36 || pod.size() == 64,
               "a pod's id is one of three kinds");
  check_entry(hook::parse_coordinator_file(coordinator.view(), "criu-coordinator.json"));
  check_entry(hook::parse_coordinator_config(coordinator.view(), "criu-coordinator.json", who));
  (void)hook::start_time_in(stat.view());
  (void)hook::socket_inode_in(link.view());
  return 0;
}
