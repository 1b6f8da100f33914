#include "cli/kubernetes/kubelet_request.hpp"

#include <signal.h>

#include <cstdio>

#include "cli/exit_code.hpp"
#include "cli/kubernetes/api_client.hpp"
#include "common/clock.hpp"

namespace lockstep::cli {
namespace {

/// The runtime's own end is to come first: it tells more.
constexpr std::chrono::seconds kAfterTimeout{30};

volatile sig_atomic_t g_terminated = 0;
bool is_terminated() { return g_terminated != 0; }

void end_at_sigterm() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_terminated = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
}

/// The kubelet's answer, once it is found to name archives.
Result<std::string> ask(const KubeletRequest& request) {
  const auto access = find_access(request.kubernetes);
  if (!access) return Failure(access.error());
  const std::string what = "checkpoint of " + request.name.text() + " on node " + request.node;
  const TimePoint begin = Clock::now();
  const auto answer = call_api(*access,
                               {ApiRequest::Method::post, checkpoint_path(request.node, request.name, request.timeout),
                                request.timeout + kAfterTimeout},
                               &is_terminated);
  if (!answer && answer.error().code == ErrorCode::refused) {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
    return fail(ErrorCode::refused, what,
                "no answer from " + access->server + " for " + std::to_string(waited.count()) +
                    " s; given up, since the round has ended. Do the API server and that node's kubelet answer?");
  }
  if (!answer) return fail_from(answer.error(), what);
  if (answer->status != 200) return fail(ErrorCode::invalid, what, explain_answer(ApiQuestion::checkpoint, *answer));
  if (auto archives = parse_checkpoint(answer->body); !archives) return fail_from(archives.error(), what);
  return answer->body;
}

}  // namespace

int run_kubelet_request(const KubeletRequest& request) {
  end_at_sigterm();
  const auto answer = ask(request);
  if (!answer) {
    std::fprintf(stderr, "lockstep: %s\n", answer.error().message().c_str());
    return kFailed;
  }
  std::fprintf(stdout, "%s\n", answer->c_str());
  return std::fflush(stdout) == 0 ? kDone : kFailed;
}

std::vector<std::string> kubelet_command(const KubeletRequest& request) {
  // This very program, whatever has become of its file since.
  std::vector<std::string> argv{"/proc/self/exe", kKubeletCommand};
  const auto add = [&](const char* option, const std::string& value) {
    // In one word: a value may begin with a hyphen.
    if (!value.empty()) argv.push_back(std::string(option) + "=" + value);
  };
  add("--kubeconfig", request.kubernetes.kubeconfig);
  add("--context", request.kubernetes.context);
  add("--namespace", request.name.ns);
  add("--pod", request.name.pod);
  add("--container", request.name.container);
  add("--node", request.node);
  add("--timeout", std::to_string(request.timeout.count()));
  return argv;
}

}  // namespace lockstep::cli
