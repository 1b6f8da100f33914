#include "cli/kubernetes/api_answers.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/kubernetes/names.hpp"
#include "cli/text_table.hpp"
#include "common/ids.hpp"

namespace lockstep::cli {
namespace {

using Json = nlohmann::json;

/// A pod is some ten levels deep.
constexpr int kMaxDepth = 32;
constexpr std::size_t kWordsShown = 400;
constexpr std::size_t kMaxArchives = 64;

/// An object of bounded size and depth; null for anything else. What is too deep is left out, and so can't be asked
/// for.
Json object_in(std::string_view text) {
  if (text.size() > kMaxApiAnswer) return nullptr;
  const auto keep = [](int depth, Json::parse_event_t, const Json&) { return depth <= kMaxDepth; };
  Json parsed = Json::parse(text, keep, false);
  return parsed.is_object() ? parsed : Json(nullptr);
}

/// Never nothing: a null where the way ends.
const Json& at(const Json& object, std::initializer_list<const char*> path) {
  static const Json none;
  const Json* place = &object;
  for (const char* key : path) {
    if (!place->is_object()) return none;
    const auto found = place->find(key);
    if (found == place->end()) return none;
    place = &*found;
  }
  return *place;
}

std::string text_at(const Json& object, std::initializer_list<const char*> path) {
  const Json& value = at(object, path);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Failure bad_pod(std::string why) { return fail(ErrorCode::invalid, "the API server's pod", std::move(why)); }

/// Its entry among those of ordinary containers, of sidecars (init containers that stay) and of ephemeral ones.
const Json* status_of(const Json& pod, const std::string& container) {
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
    const Json& statuses = at(pod, {"status", list});
    if (!statuses.is_array()) continue;
    for (const Json& each : statuses) {
      if (text_at(each, {"name"}) == container) return &each;
    }
  }
  return nullptr;
}

/// "running", "waiting (CrashLoopBackOff)".
std::string state_of(const Json& status) {
  for (const char* state : {"running", "waiting", "terminated"}) {
    if (!at(status, {"state", state}).is_object()) continue;
    const std::string reason = text_at(status, {"state", state, "reason"});
    return printable(std::string(state) + (reason.empty() ? "" : " (" + reason + ")"), 100);
  }
  return "in no state that is known";
}

/// "containerd://ID".
bool take_id(const std::string& url, ContainerPlace& place) {
  constexpr std::string_view kSeparator = "://";
  const std::size_t end = url.find(kSeparator);
  if (end == std::string::npos || end == 0) return false;
  place.runtime = url.substr(0, end);
  place.id = url.substr(end + kSeparator.size());
  return is_valid_name(place.runtime) && is_valid_name(place.id);
}

/// The API server's words in a Status object, else the text as it is: one line, without what a terminal would obey.
std::string words_of(const std::string& body, bool& is_status) {
  const Json json = object_in(body);
  is_status = text_at(json, {"kind"}) == "Status";
  std::string words = is_status ? text_at(json, {"message"}) : body;
  std::ranges::replace(words, '\n', ' ');
  while (words.ends_with(' ') || words.ends_with('\r')) words.pop_back();
  if (words.empty()) return "no text";
  return printable(words, kWordsShown);
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string remedy_for_403(ApiQuestion question, bool is_status) {
  if (question == ApiQuestion::pod) {
    return "grant it \"get\" on pods (deploy/kubernetes/base/access.yaml does)";
  }
  if (is_status) return "grant it \"create\" on nodes/proxy (deploy/kubernetes/base/access.yaml does)";
  return "that is the kubelet's word about the API server's own user: grant that one \"create\" on nodes/checkpoint "
         "and "
         "nodes/proxy";
}

std::string remedy_for_404(ApiQuestion question, const std::string& words, bool is_status) {
  if (question == ApiQuestion::pod) return "look at `kubectl get pods`; names of pods change when they are made anew";
  if (is_status) return "is the node's name right, and the node still there?";
  if (has(words, "does not exist")) return "has the pod been made anew since?";
  return "that kubelet has no checkpoint API: its feature gate ContainerCheckpoint is off (it is beta, and on, from "
         "Kubernetes 1.30)";
}

std::string remedy_for_500(const std::string& words) {
  const bool unsupported = has(words, "Unimplemented") || has(words, "not implemented") || has(words, "unknown method");
  if (unsupported || has(words, "not available") || has(words, "not supported")) {
    return "that node's container runtime does not checkpoint, or is told not to (CRI-O: enable_criu_support)";
  }
  return "the node's runtime and its CRIU's dump.log tell more";
}

std::string remedy_for(ApiQuestion question, long status, const std::string& words, bool is_status) {
  switch (status) {
    case 401: return "the token or certificate is not valid here, or no longer";
    case 403: return remedy_for_403(question, is_status);
    case 404: return remedy_for_404(question, words, is_status);
    case 500: return question == ApiQuestion::checkpoint ? remedy_for_500(words) : "";
    case 502:
    case 503:
    case 504: return question == ApiQuestion::checkpoint ? "can the API server reach that node's kubelet?" : "";
    default: break;
  }
  return status >= 300 && status < 400 ? "redirections are not followed: let \"server\" name the API server itself"
                                       : "";
}

}  // namespace

std::string pod_path(const ContainerName& name) {
  return "/api/v1/namespaces/" + percent_encoded(name.ns) + "/pods/" + percent_encoded(name.pod);
}

std::string checkpoint_path(const std::string& node, const ContainerName& name, std::chrono::seconds timeout) {
  return "/api/v1/nodes/" + percent_encoded(node) + "/proxy/checkpoint/" + percent_encoded(name.ns) + "/" +
         percent_encoded(name.pod) + "/" + percent_encoded(name.container) +
         "?timeout=" + std::to_string(timeout.count());
}

Result<ContainerPlace> parse_pod(std::string_view json, const std::string& container) {
  const Json pod = object_in(json);
  if (text_at(pod, {"kind"}) != "Pod") return bad_pod("is not what this program understands");
  ContainerPlace place;
  place.node = text_at(pod, {"spec", "nodeName"});
  place.pod_uid = printable(text_at(pod, {"metadata", "uid"}), 64);
  if (place.node.empty()) return bad_pod("is on no node yet");
  if (!is_dns_subdomain(place.node)) return bad_pod("is on a node with a name that is none");
  if (const Json& host = at(pod, {"spec", "hostNetwork"}); host.is_boolean() && host.get<bool>()) {
    return bad_pod("is on its node's own network (hostNetwork), which can't be locked");
  }
  const Json* const status = status_of(pod, container);
  if (status == nullptr) return bad_pod("has no container \"" + container + "\"");
  if (!at(*status, {"state", "running"}).is_object()) {
    return bad_pod("has container \"" + container + "\", which does not run: it is " + state_of(*status));
  }
  if (!take_id(text_at(*status, {"containerID"}), place)) return bad_pod("does not tell the container's id");
  return place;
}

Result<std::vector<std::string>> parse_checkpoint(std::string_view json) {
  const Json answer = object_in(json);
  const Json& items = at(answer, {"items"});
  const auto bad = [] { return fail(ErrorCode::invalid, "the kubelet's answer", "names no archive"); };
  if (!items.is_array() || items.empty() || items.size() > kMaxArchives) return bad();
  std::vector<std::string> archives;
  for (const Json& each : items) {
    if (!each.is_string()) return bad();
    archives.push_back(each.get<std::string>());
    if (!archives.back().starts_with('/') || archives.back().size() > 4096) return bad();
  }
  return archives;
}

std::string explain_answer(ApiQuestion question, const ApiAnswer& answer) {
  bool is_status = false;
  const std::string words = words_of(answer.body, is_status);
  const std::string remedy = remedy_for(question, answer.status, words, is_status);
  return "HTTP " + std::to_string(answer.status) + ": " + words + (remedy.empty() ? "" : "; " + remedy);
}

}  // namespace lockstep::cli
