/// `lockstep checkpoint-container`: asks one kubelet for the checkpoint of one container, and waits for it. `lockstep
/// checkpoint` starts it for each member that has `driver: kubelet`, as it starts CRIU for others: all at once, each
/// with an end that can be waited for. Not for users, and safe for them: it is told no secret.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/kubernetes/api_answers.hpp"
#include "cli/kubernetes/kubeconfig.hpp"

namespace lockstep::cli {

inline constexpr const char* kKubeletCommand = "checkpoint-container";

struct KubeletRequest {
  KubernetesSettings kubernetes;
  ContainerName name;
  std::string node;
  std::chrono::seconds timeout{};  ///< for the runtime; the answer is waited for a little longer
};

/// Prints the answer to stdout, or a line that begins with "lockstep: " to stderr. Ends early at SIGTERM, with such a
/// line.
[[nodiscard]] int run_kubelet_request(const KubeletRequest& request);

/// The command line, for whoever starts it. Pure.
[[nodiscard]] std::vector<std::string> kubelet_command(const KubeletRequest& request);

}  // namespace lockstep::cli
