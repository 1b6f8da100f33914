/// `driver: kubelet`: containers that are checkpointed through a cluster's API, by a stand-in that does it for real.
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/e2e/end_to_end.hpp"
#include "tests/e2e/kubernetes/stand_in.hpp"

namespace lockstep::e2e {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Json = nlohmann::json;

const std::string kServerPost = "POST /api/v1/nodes/node-1/proxy/checkpoint/shop/server-0/server?timeout=";
const std::string kClientPost = "POST /api/v1/nodes/node-2/proxy/checkpoint/shop/client-0/client?timeout=";

/// The members server and client0 of Traffic, as containers of two Pods on two nodes.
std::string group_text(const std::string& broker, const std::string& kubeconfig,
                       const std::string& bounds = kShortBounds) {
  return "group: e2e\nbroker: " + broker + "\ndriver: kubelet\n" +
         (kubeconfig.empty() ? "" : "kubernetes: {kubeconfig: " + kubeconfig + "}\n") + bounds +
         "members:\n"
         "  - {id: server, namespace: shop, pod: server-0, container: server}\n"
         "  - {id: client0, pod: client-0, container: client, node: node-2}\n";
}

class Kubelet : public EndToEnd {
 protected:
  /// An application of two pods in a cluster, and all that a round of it takes.
  struct Scene {
    Cluster cluster{2, Agents::node};
    Traffic traffic{cluster.dir(), cluster.network(), TrafficOptions{}};
    std::vector<Pod> pods{{"server-0", "node-1", "server", traffic.pid_of("server")},
                          {"client-0", "node-2", "client", traffic.pid_of("client0")}};
    std::vector<std::unique_ptr<ContainerCgroup>> cgroups;
    ApiServer api{cluster.dir() / "api", pods, (cluster.dir() / "run").string()};
    Scene() {
      for (const Pod& pod : pods) {
        cgroups.push_back(std::make_unique<ContainerCgroup>(pod.uid(), pod.container_id()));
        cgroups.back()->take(pod.pid);
      }
    }
    [[nodiscard]] std::string group(const std::string& kubeconfig, const std::string& bounds = kShortBounds) const {
      write_file(cluster.dir() / "group.yaml", group_text(cluster.broker_for_cli(), kubeconfig, bounds));
      return cluster.dir() / "group.yaml";
    }
  };

  static void expect_no_secret(const CommandResult& result) {
    for (const std::string& secret : {kToken, kWeakToken}) {
      EXPECT_THAT(result.out, Not(HasSubstr(secret)));
      EXPECT_THAT(result.err, Not(HasSubstr(secret)));
    }
  }

  /// Each kubelet has been asked once, and nobody could read a token off a process list.
  static void expect_right_requests(const ApiServer& api, const std::string& user) {
    std::vector<std::string> requests = api.requests();
    EXPECT_THAT(requests, SizeIs(4));
    EXPECT_THAT(requests, Each(::testing::EndsWith(" by " + user)));
    for (const std::string& expected :
         {std::string("GET /api/v1/namespaces/shop/pods/server-0 "),
          std::string("GET /api/v1/namespaces/shop/pods/client-0 "), kServerPost, kClientPost}) {
      EXPECT_THAT(requests, Contains(StartsWith(expected)));
    }
  }

  static void expect_committed(const Scene& scene, const CommandResult& result) {
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
    const Json report = Json::parse(result.out);
    EXPECT_EQ(report["verdict"], "committed");
    EXPECT_EQ(report["leave_running"], true);
    std::vector<std::string> verify{"verify"};
    ASSERT_EQ(report["members"].size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      const Json& member = report["members"][i];
      EXPECT_EQ(member["node"], scene.pods[i].node);
      EXPECT_EQ(member["images"], nullptr);
      EXPECT_EQ(member["pid"], nullptr);
      EXPECT_NE(member["pod"]["netns_inode"], 0) << "the hook has told it";
      ASSERT_EQ(member["archives"].size(), 1U);
      verify.push_back(member["archives"][0]);
      EXPECT_THAT(verify.back(),
                  HasSubstr("/checkpoint-" + scene.pods[i].name + "_shop-" + scene.pods[i].container + "-"));
    }
    const CommandResult cut = scene.cluster.lockstep(verify);
    EXPECT_EQ(cut.exit_code, 0) << cut.out << cut.err;
  }

  static void expect_runs_on(Scene& scene) {
    expect_unlocked(scene.cluster);
    EXPECT_THAT(scene.traffic.await_flow(scene.traffic.snapshot()), IsEmpty());
    EXPECT_THAT(scene.traffic.pids(), ::testing::ElementsAre(scene.pods[0].pid, scene.pods[1].pid));
  }
};

TEST_F(Kubelet, TwoNodesContainersAreCheckpointedAtOnceWithATokenOfAFile) {
  Scene scene;
  const CommandResult result =
      scene.cluster.lockstep({"checkpoint", scene.group(scene.api.kubeconfig()), "--output", "json"});
  ASSERT_NO_FATAL_FAILURE(expect_committed(scene, result));
  EXPECT_THAT(result.err, HasSubstr("as with --leave-running"));
  EXPECT_THAT(result.out, HasSubstr("not looked at"));
  EXPECT_THAT(result.out, HasSubstr("not proved"));
  expect_no_secret(result);
  expect_right_requests(scene.api, "system:serviceaccount:lockstep:lockstep-operator");
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

TEST_F(Kubelet, AClientCertificateDoesAsWellAndPeopleAreToldTheArchives) {
  Scene scene;
  const std::string config = scene.api.kubeconfig("server: '" + scene.api.url() + "/', certificate-authority: ca.crt",
                                                  "client-certificate: client.crt, client-key: client.key");
  const CommandResult result = scene.cluster.lockstep({"checkpoint", scene.group(config), "--leave-running"});
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  const std::string checkpoints = (scene.api.dir() / "checkpoints").string();
  EXPECT_THAT(result.out,
              HasSubstr("member server: node node-1: " + checkpoints + "/checkpoint-server-0_shop-server-"));
  EXPECT_THAT(result.out,
              HasSubstr("member client0: node node-2: " + checkpoints + "/checkpoint-client-0_shop-client-"));
  EXPECT_THAT(result.out, HasSubstr(": committed, 2 members"));
  expect_right_requests(scene.api, "certified-operator");
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

TEST_F(Kubelet, APodsServiceAccountIsUsedInAPod) {
  Scene scene;
  // As the kubelet mounts it, in a mount namespace of the command's own.
  const std::filesystem::path account = scene.cluster.dir() / "account";
  write_file(account / "token", kToken);
  write_file(account / "namespace", "shop");
  write_file(account / "ca.crt", read_file(scene.api.authority()));
  const std::string folder = "/run/secrets/kubernetes.io/serviceaccount";
  const CommandResult result = run_command(
      {"unshare", "--mount", "sh", "-c",
       "mount -t tmpfs none /run && mkdir -p " + folder + " && mount --bind \"$0\" " + folder + " && exec \"$@\"",
       account, "env", "-u", "KUBECONFIG", "KUBERNETES_SERVICE_HOST=127.0.0.1",
       "KUBERNETES_SERVICE_PORT=" + scene.api.port(), program("lockstep"), "checkpoint", scene.group({}), "--output",
       "json"},
      60s);
  ASSERT_NO_FATAL_FAILURE(expect_committed(scene, result));
  expect_no_secret(result);
  expect_right_requests(scene.api, "system:serviceaccount:lockstep:lockstep-operator");
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

struct Trouble {
  const char* name;
  std::string fault;
  std::vector<std::string> words;
};

std::string at_client(const std::string& kind, const std::string& more = {}) {
  return R"({"at": "checkpoint", "container": "client", "kind": ")" + kind + "\"" + more + "}";
}

TEST_F(Kubelet, WhateverOneKubeletSaysTheRoundIsAbortedAsAWhole) {
  const std::vector<Trouble> troubles{
      {"token out of date", at_client("unauthorized"), {"HTTP 401: Unauthorized", "not valid here"}},
      {"kubelet forbids",
       at_client("kubelet_forbids"),
       {"HTTP 403: Forbidden (user=kube-apiserver-kubelet-client", "nodes/checkpoint"}},
      {"feature gate", at_client("gate_off"), {"HTTP 404", "ContainerCheckpoint"}},
      {"unreachable", at_client("unreachable"), {"HTTP 503: error trying to reach service", "that node's kubelet"}},
      {"runtime",
       at_client("runtime", R"(, "words": "Unknown desc = criu failed: type NOTIFY errno 0")"),
       {"HTTP 500: checkpointing of shop/client-0/client failed (rpc error: code = Unknown desc = criu failed",
        "dump.log"}},
      {"no such method",
       at_client("runtime", R"(, "words": "Unimplemented desc = unknown method CheckpointContainer")"),
       {"HTTP 500", "Unimplemented", "container runtime does not checkpoint"}},
      {"garbage", at_client("garbage"), {"the kubelet's answer: names no archive"}},
      {"no archive", at_client("no_archive"), {"the kubelet's answer: names no archive"}},
      {"too large", at_client("huge"), {"answers with more than 4 MiB"}},
      {"redirected", at_client("redirect"), {"HTTP 302", "redirections are not followed"}},
      {"hangs up", at_client("drop"), {"API server https://127.0.0.1:"}},
  };
  Scene scene;
  const std::string group = scene.group(scene.api.kubeconfig());
  for (const Trouble& trouble : troubles) {
    SCOPED_TRACE(trouble.name);
    scene.api.spoil(trouble.fault);
    scene.api.forget_requests();
    const CommandResult result = scene.cluster.lockstep({"checkpoint", group, "--output", "json"});
    ASSERT_EQ(result.exit_code, 1) << result.out << result.err;
    const Json report = Json::parse(result.out);
    EXPECT_EQ(report["verdict"], "aborted");
    EXPECT_EQ(report["culprit"], "client0");
    const std::string reason = report["reason"];
    EXPECT_THAT(reason, HasSubstr("checkpoint of shop/client-0/client on node node-2"));
    for (const std::string& words : trouble.words) EXPECT_THAT(reason, HasSubstr(words));
    for (const Json& member : report["members"]) {
      EXPECT_EQ(member["criu"]["ok"], false) << "nobody's checkpoint counts";
      EXPECT_THAT(member["archives"], IsEmpty());
    }
    // The other one's CRIU has failed for real, or was not waited for.
    EXPECT_THAT(report["members"][0]["criu"]["detail"].get<std::string>(),
                AnyOf(HasSubstr("HTTP 500: checkpointing of shop/server-0/server failed (rpc error"),
                      HasSubstr("given up, since the round has ended")));
    EXPECT_THAT(scene.api.requests(), Contains(StartsWith(kServerPost)));
    expect_no_secret(result);
    ASSERT_NO_FATAL_FAILURE(expect_runs_on(scene));
  }
  // And the next one, with nothing in its way, is as good as if nothing had been.
  scene.api.spoil({});
  ASSERT_NO_FATAL_FAILURE(expect_committed(scene, scene.cluster.lockstep({"checkpoint", group, "--output", "json"})));
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

TEST_F(Kubelet, AKubeletThatNeverAnswersIsNotWaitedForAfterTheRoundsEnd) {
  Scene scene;
  const std::string group =
      scene.group(scene.api.kubeconfig(), "deadlines: {prepare: 2s, lock: 5s, commit: 20s, finish: 5s}\nlease: 12s\n");
  scene.api.spoil(at_client("hang"));
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result = scene.cluster.lockstep({"checkpoint", group});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("no answer from https://127.0.0.1:"), HasSubstr(": aborted: ")));
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

TEST_F(Kubelet, RightsThatAreNotGrantedAbortTheRound) {
  Scene scene;
  write_file(scene.api.dir() / "token", kWeakToken);
  const CommandResult result = scene.cluster.lockstep({"checkpoint", scene.group(scene.api.kubeconfig())});
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("User \"somebody\" cannot create resource \"nodes/proxy\""),
                                HasSubstr("grant it \"create\" on nodes/proxy")));
  expect_no_secret(result);
  expect_runs_on(scene);
  expect_good_end(scene.cluster, scene.traffic);
}

/// What is found out before a round is opened: there is no broker here, and none is missed.
class KubeletPreflight : public EndToEnd {
 protected:
  KubeletPreflight()
      : api_(dir_.path() / "api",
             {{"server-0", "node-1", "server", 1},
              {"client-0", "node-2", "client", 1},
              {"waiting-0", "node-2", "client", 1, {}, R"({"waiting": {"reason": "CrashLoopBackOff"}})"},
              {"host-0", "node-2", "client", 1, R"({"host_network": true})"}},
             dir_.path()) {}

  [[nodiscard]] CommandResult checkpoint(const std::string& text) const {
    write_file(dir_.path() / "group.yaml", text);
    return run_command({program("lockstep"), "checkpoint", dir_.path() / "group.yaml"}, 60s);
  }

  /// Nothing was started, for a reason that is told.
  void expect_refused(const std::string& kubeconfig, const std::vector<std::string>& words) const {
    expect_refused_group(group_text("ipc://" + (dir_.path() / "nobody").string(), kubeconfig), words);
  }
  void expect_refused_group(const std::string& text, const std::vector<std::string>& words) const {
    const CommandResult result = checkpoint(text);
    EXPECT_EQ(result.exit_code, 2) << result.out << result.err;
    for (const std::string& each : words) EXPECT_THAT(result.err, HasSubstr(each));
    for (const std::string& secret : {kToken, kWeakToken}) EXPECT_THAT(result.err, Not(HasSubstr(secret)));
    EXPECT_THAT(api_.requests(), Each(Not(StartsWith("POST"))));
  }
  [[nodiscard]] std::string cluster() const { return "server: '" + api_.url() + "', certificate-authority: ca.crt"; }

  TempDir dir_;
  ApiServer api_;
};

TEST_F(KubeletPreflight, WhomToTrustIsLookedAt) {
  const std::string server = "server: '" + api_.url() + "'";
  expect_refused(
      api_.kubeconfig(server + ", certificate-authority: other.crt", "tokenFile: token"),
      {"member \"server\": pod shop/server-0: API server https://127.0.0.1:", "certificate", "is this the cluster"});
  expect_refused(api_.kubeconfig(server, "tokenFile: token"), {"certificate", "is this the cluster"});
  expect_refused(
      api_.kubeconfig("server: '" + api_.url("localhost") + "', certificate-authority: ca.crt", "tokenFile: token"),
      {"localhost", "is this the cluster"});
  EXPECT_THAT(api_.requests(), Each(StartsWith("BROKEN"))) << "no request, and no token, before the server is known";
  expect_refused(api_.kubeconfig(server + ", certificate-authority: absent.crt", "tokenFile: token"),
                 {"certificate-authority: ", "absent.crt", "No such file"});
}

TEST_F(KubeletPreflight, WhoWeAreIsLookedAt) {
  expect_refused(api_.kubeconfig(cluster(), "tokenFile: absent"), {"token: ", "absent", "No such file"});
  write_file(api_.dir() / "empty", "\n");
  expect_refused(api_.kubeconfig(cluster(), "tokenFile: empty"), {"empty: holds no token"});
  expect_refused(api_.kubeconfig(cluster(), "token: stranger"), {"HTTP 401: Unauthorized", "not valid here"});
  expect_refused(api_.kubeconfig(cluster(), "exec: {command: aws}"), {"no credential plugins"});
  expect_refused(api_.kubeconfig(cluster(), "client-certificate: client.crt, client-key: ca.crt"),
                 {"client certificate", "damaged"});
  expect_refused(dir_.path() / "no-such-file", {"kubeconfig", "no-such-file", "No such file"});
}

TEST_F(KubeletPreflight, AServerThatIsNoneIsLeftInBoundedTime) {
  for (const auto& [kind, words] :
       std::vector<std::pair<std::string, std::string>>{{"garbage", "is not what this program understands"},
                                                        {"huge", "more than 4 MiB"},
                                                        {"hang", "timed out"},
                                                        {"unauthorized", "HTTP 401"}}) {
    SCOPED_TRACE(kind);
    api_.spoil(R"({"at": "pod", "kind": ")" + kind + "\"}");
    expect_refused(api_.kubeconfig(), {words});
  }
  api_.stop();
  expect_refused(api_.kubeconfig(), {"API server https://127.0.0.1:", "onnect"});
}

TEST_F(KubeletPreflight, OnlyContainersThatRunInPodsAreTaken) {
  const std::string head =
      "group: e2e\nbroker: ipc:///nobody\ndriver: kubelet\nkubernetes: {kubeconfig: " + api_.kubeconfig() +
      "}\nmembers:\n  - {id: a, container: client, ";
  expect_refused_group(head + "pod: absent}\n", {"HTTP 404: pods \"absent\" not found", "kubectl get pods"});
  expect_refused_group(head + "pod: server-0}\n", {"has no container \"client\""});
  expect_refused_group(head + "pod: waiting-0}\n", {"does not run: it is waiting (CrashLoopBackOff)"});
  expect_refused_group(head + "pod: host-0}\n", {"hostNetwork"});
  expect_refused_group(head + "pod: client-0, node: node-1}\n", {"is on node node-2, not on node-1"});
  expect_refused_group(head + "pod: client-0}\n  - {id: b, driver: criu, pid: 1, images: i}\n",
                       {"use --leave-running"});
}

TEST_F(KubeletPreflight, PreflightSaysWhatItCanNotSeeAndRestoreSaysWhoRestores) {
  write_file(dir_.path() / "group.yaml", group_text("ipc:///nobody", api_.kubeconfig()));
  const CommandResult looked = run_command({program("lockstep"), "preflight", dir_.path() / "group.yaml"});
  EXPECT_EQ(looked.exit_code, 0) << looked.err;
  EXPECT_THAT(looked.out,
              AllOf(HasSubstr("note: member server: container "), HasSubstr("is on node node-1: its processes"),
                                HasSubstr("the processes of 2 on other machines were not looked at")));
  const CommandResult restored = run_command({program("lockstep"), "restore", dir_.path() / "group.yaml"});
  EXPECT_EQ(restored.exit_code, 2);
  EXPECT_THAT(restored.err, HasSubstr("the kubelet restores no containers"));
}

}  // namespace
}  // namespace lockstep::e2e
