#include "cli/kubernetes/api_answers.hpp"

#include <gtest/gtest.h>

#include "cli/kubernetes/kubelet_request.hpp"

namespace lockstep::cli {
namespace {

const std::string kId(64, 'c');

std::string pod(const std::string& status, const std::string& spec = R"("nodeName": "node-1")") {
  return R"({"kind": "Pod", "metadata": {"uid": "u-1"}, "spec": {)" + spec + R"(}, "status": {)" + status + "}}";
}

std::string running(const std::string& name, const std::string& id) {
  return R"({"name": ")" + name + R"(", "containerID": ")" + id + R"(", "state": {"running": {}}})";
}

TEST(ApiAnswers, PathsAreTheApisOwn) {
  const ContainerName name{"shop", "web-0", "web"};
  EXPECT_EQ(pod_path(name), "/api/v1/namespaces/shop/pods/web-0");
  EXPECT_EQ(checkpoint_path("node-1.example", name, std::chrono::seconds(90)),
            "/api/v1/nodes/node-1.example/proxy/checkpoint/shop/web-0/web?timeout=90");
  EXPECT_EQ(pod_path({"a/b", "..", ""}), "/api/v1/namespaces/a%2Fb/pods/%2E%2E");
  EXPECT_EQ(name.text(), "shop/web-0/web");
}

TEST(ApiAnswers, TheRequestsCommandLineHasNoSecret) {
  const KubeletRequest request{{"/k/config", "prod"}, {"shop", "web-0", "web"}, "node-1", std::chrono::seconds(90)};
  EXPECT_EQ(kubelet_command(request),
            (std::vector<std::string>{"/proc/self/exe", "checkpoint-container", "--kubeconfig=/k/config",
                                      "--context=prod", "--namespace=shop", "--pod=web-0", "--container=web",
                                      "--node=node-1", "--timeout=90"}));
}

TEST(ApiAnswers, APodTellsWhereItsContainerIs) {
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
    const auto place = parse_pod(pod("\"" + std::string(list) + "\": [" + running("other", "cri-o://x") + "," +
                                     running("web", "containerd://" + kId) + "]"),
                                 "web");
    ASSERT_TRUE(place) << place.error().message();
    EXPECT_EQ(place->node, "node-1");
    EXPECT_EQ(place->id, kId);
    EXPECT_EQ(place->runtime, "containerd");
    EXPECT_EQ(place->pod_uid, "u-1");
  }
}

TEST(ApiAnswers, APodThatCanNotBeCheckpointedSaysWhy) {
  const std::string list = R"("containerStatuses": [)";
  struct Case {
    std::string json;
    std::string words;
  };
  const std::vector<Case> cases{
      {"", "is not what"},
      {"[]", "is not what"},
      {"nonsense", "is not what"},
      {R"({"kind": "Status", "message": "x"})", "is not what"},
      {std::string(100'000, '['), "is not what"},
      {std::string(kMaxApiAnswer + 1, ' '), "is not what"},
      {pod("", ""), "on no node yet"},
      {pod("", R"("nodeName": "a/../b")"), "a name that is none"},
      {pod("", R"("nodeName": 7)"), "on no node yet"},
      {pod("", R"("nodeName": "n", "hostNetwork": true)"), "hostNetwork"},
      {pod(""), "has no container \"web\""},
      {pod(R"("containerStatuses": {"web": 1})"), "has no container \"web\""},
      {pod(list + "7, null, {}]"), "has no container \"web\""},
      {pod(list + R"({"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}])"),
       "it is waiting (CrashLoopBackOff)"},
      {pod(list + R"({"name": "web", "state": {"terminated": {"reason": "x\u001b[2J"}}}])"),
       "it is terminated (x?[2J)"},
      {pod(list + R"({"name": "web", "state": 7}])"), "in no state that is known"},
      {pod(list + running("web", "") + "]"), "the container's id"},
      {pod(list + running("web", "containerd://") + "]"), "the container's id"},
      {pod(list + running("web", "://x") + "]"), "the container's id"},
      {pod(list + running("web", "containerd://a/b") + "]"), "the container's id"},
      {pod(list + running("web", "containerd://" + std::string(65, 'a')) + "]"), "the container's id"},
  };
  for (const Case& each : cases) {
    const auto place = parse_pod(each.json, "web");
    ASSERT_FALSE(place) << each.json.substr(0, 200);
    EXPECT_NE(place.error().message().find(each.words), std::string::npos) << place.error().message();
  }
}

TEST(ApiAnswers, ACheckpointNamesItsArchives) {
  const auto archives =
      parse_checkpoint(R"({"items":["/var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar","/x"],"more":1})");
  ASSERT_TRUE(archives);
  EXPECT_EQ(*archives, (std::vector<std::string>{"/var/lib/kubelet/checkpoints/checkpoint-a_b-c.tar", "/x"}));
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"items":[]})"),
        std::string(R"({"items":"/x"})"), std::string(R"({"items":[7]})"), std::string(R"({"items":["x"]})"),
        std::string(R"({"items":["/x",null]})"), R"({"items":["/)" + std::string(5000, 'x') + "\"]}",
        std::string(R"({"items":["/x"])")}) {
    EXPECT_FALSE(parse_checkpoint(bad)) << bad.substr(0, 100);
  }
}

TEST(ApiAnswers, ErrorsAreExplained) {
  const auto status = [](const std::string& message) { return R"({"kind": "Status", "message": ")" + message + "\"}"; };
  struct Case {
    ApiQuestion question;
    ApiAnswer answer;
    std::string begin;
    std::string remedy;
  };
  const auto pod_question = ApiQuestion::pod;
  const auto dump = ApiQuestion::checkpoint;
  const std::vector<Case> cases{
      {pod_question, {401, status("Unauthorized")}, "HTTP 401: Unauthorized; ", "no longer"},
      {pod_question, {403, status("pods is forbidden")}, "HTTP 403: pods is forbidden; ", "\"get\" on pods"},
      {dump, {403, status("nodes is forbidden")}, "HTTP 403: nodes is forbidden; ", "\"create\" on nodes/proxy"},
      {dump,
       {403, "Forbidden (user=x, verb=create)"},
       "HTTP 403: Forbidden (user=x, verb=create); ",
       "nodes/checkpoint"},
      {pod_question, {404, status("pods \\\"x\\\" not found")}, "HTTP 404: pods \"x\" not found; ", "kubectl get pods"},
      {dump, {404, status("nodes \\\"x\\\" not found")}, "HTTP 404: nodes \"x\" not found; ", "node's name"},
      {dump, {404, "container x does not exist\n"}, "HTTP 404: container x does not exist; ", "made anew"},
      {dump, {404, "404: Page Not Found"}, "HTTP 404: 404: Page Not Found; ", "ContainerCheckpoint"},
      {dump,
       {500, "checkpointing of a/b/c failed (rpc error: code = Unimplemented)"},
       "HTTP 500: checkpointing",
       "runtime does not checkpoint"},
      {dump, {500, "checkpointing of a/b/c failed (criu failed)"}, "HTTP 500: checkpointing", "dump.log"},
      {dump, {503, status("error trying to reach service")}, "HTTP 503: error trying", "kubelet"},
      {dump, {302, ""}, "HTTP 302: no text; ", "redirections"},
      {pod_question, {418, "a\nb\033[2J"}, "HTTP 418: a b?[2J", ""},
  };
  for (const Case& each : cases) {
    const std::string text = explain_answer(each.question, each.answer);
    EXPECT_TRUE(text.starts_with(each.begin)) << text;
    EXPECT_NE(text.find(each.remedy), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  EXPECT_LT(explain_answer(dump, {500, std::string(100'000, 'x')}).size(), 900U);
}

}  // namespace
}  // namespace lockstep::cli
