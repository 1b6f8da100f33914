#include "cli/kubernetes/kubelet_driver.hpp"

#include "cli/files.hpp"
#include "cli/kubernetes/api_client.hpp"
#include "cli/kubernetes/kubelet_request.hpp"

namespace lockstep::cli {
namespace {

constexpr std::chrono::milliseconds kPodLimit{15'000};
/// The runtime packs the archive when the round is over, within the same call.
constexpr std::chrono::seconds kPacking{600};

ContainerName name_of(const GroupMember& member, const std::string& ns) {
  return {member.ns.empty() ? ns : member.ns, member.pod, member.container};
}

std::string answer_file(const ReadyMember& ready) { return ready.work + "/kubelet.out"; }

/// The members' processes, their images and CRIU's statistics are elsewhere: that nobody has looked is said, once for
/// each.
Finding not_looked_at(const ReadyMember& ready) {
  Finding finding;
  finding.severity = Severity::note;
  finding.what = "container " + ready.container.substr(0, 12) + " is on node " + ready.node +
                 ": its processes, CRIU's log and times, and its images were not looked at";
  finding.remedy = "`lockstep doctor` on the node tells whether a round can work there";
  return finding;
}

Failure no_restore(const MemberId& id) {
  return bad_member(
      id,
      "the kubelet restores no containers. Its archives are on the nodes, and the nodes' runtimes restore "
      "them: make an image of each and start a pod from it (deploy/README.md, Kubernetes)");
}

}  // namespace

Result<ReadyMember> KubeletDriver::find_tree(const GroupMember& member, const ThisMachine& /*machine*/) const {
  const auto access = find_access(member.kubernetes);
  if (!access) return bad_member(member.id, access.error().message());
  const ContainerName name = name_of(member, access->ns);
  const std::string what = "pod " + name.ns + "/" + name.pod;
  const auto answer = call_api(*access, {ApiRequest::Method::get, pod_path(name), kPodLimit});
  if (!answer) return bad_member(member.id, what + ": " + answer.error().message());
  if (answer->status != 200) return bad_member(member.id, what + ": " + explain_answer(ApiQuestion::pod, *answer));
  const auto place = parse_pod(answer->body, name.container);
  if (!place) return bad_member(member.id, what + ": " + place.error().message());
  if (!member.node.empty() && member.node != place->node) {
    return bad_member(member.id, what + " is on node " + place->node + ", not on " + member.node);
  }
  auto folder = TempFolder::make();
  if (!folder) return bad_member(member.id, folder.error().message());
  ReadyMember ready;
  ready.member = &member;
  ready.container = place->id;
  ready.ns = name.ns;
  ready.node = place->node;
  ready.work = folder->path();
  ready.unpacked = std::move(*folder);
  ready.findings.push_back(not_looked_at(ready));
  return ready;
}

Result<ReadyMember> KubeletDriver::find_images(const GroupMember& member) const { return no_restore(member.id); }

Result<void> KubeletDriver::find_place(ReadyMember& ready, const ThisMachine& /*machine*/) const {
  return no_restore(ready.member->id);
}

CriuCommand KubeletDriver::dump(const RoundContext& context, const ReadyMember& ready, bool /*leave_running*/) const {
  const auto round = std::chrono::ceil<std::chrono::seconds>(context.longest);
  CriuCommand command;
  command.argv =
      kubelet_command({ready.member->kubernetes, name_of(*ready.member, ready.ns), ready.node, round + kPacking});
  command.output = answer_file(ready);
  command.remote = true;
  return command;
}

CriuCommand KubeletDriver::restore(const RoundContext& /*context*/, const ReadyMember& /*ready*/) const {
  return {};  // find_images() has said no
}

Result<pid_t> KubeletDriver::restored_pid(const ReadyMember& ready) const { return no_restore(ready.member->id); }

std::vector<std::string> KubeletDriver::archives(const ReadyMember& ready) const {
  const auto answer = read_file(answer_file(ready), kMaxApiAnswer);
  if (!answer) return {};
  return parse_checkpoint(*answer).value_or(std::vector<std::string>{});
}

}  // namespace lockstep::cli
