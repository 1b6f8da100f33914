/// What is asked of the API server, and what its answers and the kubelets' say. Pure.
///
/// Read in Kubernetes' sources (pkg/kubelet/server/server.go `checkpoint`, server/auth*.go; cri-client
/// remote_runtime.go `CheckpointContainer`; staging apiserver, the long-running subresource "proxy") and in its
/// reference "Kubelet Checkpoint API":
///   - POST /api/v1/nodes/NODE/proxy/checkpoint/NAMESPACE/POD/CONTAINER?timeout=S goes through the API server, which
///   wants
///     `create` on nodes/proxy of us; to the kubelet it speaks with a certificate of its own, of which the kubelet
///     wants `create` on nodes/checkpoint (kubernetes issue 126232).
///   - 200 is {"items":["/var/lib/kubelet/checkpoints/checkpoint-POD_NAMESPACE-CONTAINER-TIME.tar"]}, a path on the
///   node.
///   - The kubelet's errors are plain text: 401, 403 "Forbidden (user=…, verb=…, …)", 404 "pod does not exist",
///     "container X does not exist" or, with the feature gate ContainerCheckpoint off, the page not found;
///     500 "checkpointing of NAMESPACE/POD/CONTAINER failed (…)" with the runtime's words.
///   - The API server's own errors are Status objects in JSON.
///   - `timeout` bounds the runtime's call; less than the kubelet's own limit (2 min) counts as that. The API server
///   sets no
///     limit of its own to what goes through "proxy". It hangs up on the kubelet when we hang up, and the kubelet on
///     the runtime.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace lockstep::cli {

/// More is no answer. Pods are at most 1.5 MiB in a cluster's store.
inline constexpr std::size_t kMaxApiAnswer = std::size_t{4} * 1024 * 1024;

struct ContainerName {
  std::string ns;
  std::string pod;
  std::string container;
  /// "shop/web-0/web".
  [[nodiscard]] std::string text() const { return ns + "/" + pod + "/" + container; }
};

struct ApiAnswer {
  long status = 0;  ///< HTTP's
  std::string body;
};

/// What the API server knows of a container.
struct ContainerPlace {
  std::string node;
  std::string id;       ///< without the runtime's name in front
  std::string runtime;  ///< that name: containerd, cri-o
  std::string pod_uid;
};

[[nodiscard]] std::string pod_path(const ContainerName& name);
[[nodiscard]] std::string checkpoint_path(const std::string& node, const ContainerName& name,
                                          std::chrono::seconds timeout);

/// The answer to pod_path(): where the container runs. invalid: it does not, or is on the host's network.
[[nodiscard]] Result<ContainerPlace> parse_pod(std::string_view json, const std::string& container);
/// The archives' paths in the answer to checkpoint_path(): at least one, each absolute.
[[nodiscard]] Result<std::vector<std::string>> parse_checkpoint(std::string_view json);

enum class ApiQuestion { pod, checkpoint };
/// Why an answer that is not 200 came, in whose words, and what to do about it. One line, of at most 800 bytes.
[[nodiscard]] std::string explain_answer(ApiQuestion question, const ApiAnswer& answer);

}  // namespace lockstep::cli
