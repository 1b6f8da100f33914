#include "tests/e2e/kubernetes/stand_in.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace lockstep::e2e {
namespace {

using Json = nlohmann::json;

/// A process's id follows.
constexpr std::string_view kTestSlice = "lockstep_test_";

/// Of the unified hierarchy, wherever the machine has it.
std::filesystem::path cgroups() {
  const std::filesystem::path hybrid = "/sys/fs/cgroup/unified";
  return std::filesystem::exists(hybrid) ? hybrid : "/sys/fs/cgroup";
}

std::string underscored(std::string uid) {
  std::ranges::replace(uid, '-', '_');
  return uid;
}

std::string hex(std::size_t value, std::size_t digits) {
  std::ostringstream text;
  text << std::hex << value;
  std::string all = text.str();
  all.resize(digits, 'a');
  return all;
}

/// A key and what is signed with it. `authority`: of whom; empty: itself.
void make_certificate(const std::filesystem::path& dir, const std::string& name, const std::string& subject,
                      const std::string& authority, const std::string& extension) {
  const std::string key = dir / (name + ".key");
  const std::string certificate = dir / (name + ".crt");
  std::vector<std::string> request{
      "openssl", "req",     "-newkey", "ec",    "-pkeyopt",      "ec_paramgen_curve:prime256v1",
      "-nodes",  "-keyout", key,       "-subj", "/CN=" + subject};
  if (authority.empty()) {
    request.insert(request.end(), {"-x509", "-days", "2", "-out", certificate});
    return must_run(request);
  }
  const std::string signing = dir / (name + ".csr");
  request.insert(request.end(), {"-out", signing});
  must_run(request);
  write_file(dir / (name + ".ext"), extension + "\n");
  must_run({"openssl", "x509", "-req", "-in", signing, "-CA", dir / (authority + ".crt"), "-CAkey",
            dir / (authority + ".key"), "-CAcreateserial", "-days", "2", "-out", certificate, "-extfile",
            dir / (name + ".ext")});
}

/// What tests that were killed have left.
void remove_stale_cgroups() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(cgroups(), ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kTestSlice) || ::kill(std::atoi(name.c_str() + kTestSlice.size()), 0) == 0) continue;
    for (const auto& scope : std::filesystem::directory_iterator(entry.path(), ignored)) {
      if (scope.is_directory()) std::filesystem::remove(scope.path(), ignored);
    }
    std::filesystem::remove(entry.path(), ignored);
  }
}

}  // namespace

ContainerCgroup::ContainerCgroup(const std::string& pod_uid, const std::string& container_id)
    : slice_(cgroups() /
             (std::string(kTestSlice) + std::to_string(::getpid()) + "-besteffort-pod" + underscored(pod_uid) + ".slice")),
      scope_(slice_ / ("cri-containerd-" + container_id + ".scope")) {
  remove_stale_cgroups();
  std::filesystem::create_directories(scope_);
}

ContainerCgroup::~ContainerCgroup() {
  // What still runs in it goes back to the top; only empty groups can be removed.
  std::ifstream list(scope_ / "cgroup.procs");
  for (std::string pid; std::getline(list, pid);) std::ofstream(cgroups() / "cgroup.procs") << pid;
  std::error_code ignored;
  std::filesystem::remove(scope_, ignored);
  std::filesystem::remove(slice_, ignored);
}

void ContainerCgroup::take(pid_t pid) const {
  std::ofstream file(scope_ / "cgroup.procs");
  file << pid << std::flush;
  if (!file) throw std::runtime_error("can't put process " + std::to_string(pid) + " into " + scope_.string());
}

std::string Pod::container_id() const { return hex(std::hash<std::string>{}(name + "/" + container), 64); }

std::string Pod::uid() const {
  const std::string digits = hex(std::hash<std::string>{}(name), 32);
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" + digits.substr(16, 4) +
         "-" + digits.substr(20);
}

ApiServer::ApiServer(std::filesystem::path dir, const std::vector<Pod>& pods, const std::string& socket_dir)
    : dir_(std::move(dir)) {
  std::filesystem::create_directories(dir_);
  make_certificates();
  write_settings(pods, socket_dir);
  write_file(dir_ / "token", kToken + "\n");
  process_ =
      Process::start({.command = {"/usr/bin/python3", LOCKSTEP_API_SERVER, dir_}, .log = dir_ / "api_server.log"});
  if (!wait_until([this] { return std::filesystem::exists(dir_ / "port"); }, 10s)) {
    throw std::runtime_error("the stand-in does not start: " + tail_of(dir_ / "api_server.log", 5));
  }
  port_ = read_file(dir_ / "port");
}

void ApiServer::make_certificates() const {
  make_certificate(dir_, "ca", "cluster", {}, {});
  make_certificate(dir_, "other", "another-cluster", {}, {});
  make_certificate(dir_, "server", "kube-apiserver", "ca", "subjectAltName=IP:127.0.0.1,DNS:kubernetes.default.svc");
  make_certificate(dir_, "client", "certified-operator", "ca", "extendedKeyUsage=clientAuth");
}

void ApiServer::write_settings(const std::vector<Pod>& pods, const std::string& socket_dir) const {
  const Json all = Json::array({Json::array({"get", "pods"}), Json::array({"create", "nodes/proxy"})});
  Json settings = {{"certificate", dir_ / "server.crt"},
                   {"key", dir_ / "server.key"},
                   {"client_authority", dir_ / "ca.crt"},
                   {"tokens", {{kToken, "system:serviceaccount:lockstep:lockstep-operator"}, {kWeakToken, "somebody"}}},
                   {"users",
                    {{"system:serviceaccount:lockstep:lockstep-operator", all},
                     {"certified-operator", all},
                     {"somebody", Json::array({Json::array({"get", "pods"})})}}},
                   {"nodes", Json::array()},
                   {"criu", Json::array({criu_path()})},
                   {"hook", program("lockstep-hook")},
                   {"socket_dir", socket_dir},
                   {"pods", Json::array()}};
  for (const Pod& pod : pods) {
    Json container = {{"name", pod.container}, {"id", pod.container_id()}, {"pid", pod.pid}};
    if (!pod.state.empty()) container["state"] = Json::parse(pod.state);
    Json object = {{"namespace", "shop"},
                   {"name", pod.name},
                   {"node", pod.node},
                   {"uid", pod.uid()},
                   {"containers", Json::array({container})}};
    if (!pod.more.empty()) object.update(Json::parse(pod.more));
    settings["pods"].push_back(object);
    settings["nodes"].push_back(pod.node);
  }
  write_file(dir_ / "settings.json", settings.dump(1));
}

void ApiServer::spoil(const std::string& fault_json) const {
  if (fault_json.empty()) {
    std::filesystem::remove(dir_ / "fault.json");
  } else {
    write_file(dir_ / "fault.json", fault_json);
  }
}

std::vector<std::string> ApiServer::requests() const {
  std::istringstream text(read_file(dir_ / "requests.log"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

void ApiServer::forget_requests() const { std::filesystem::remove(dir_ / "requests.log"); }

std::string ApiServer::kubeconfig(const std::string& cluster, const std::string& user) const {
  const std::string path = dir_ / "kubeconfig";
  write_file(path,
             "apiVersion: v1\nkind: Config\npreferences: {}\ncurrent-context: test\n"
             "contexts: [{name: test, context: {cluster: c, user: u, namespace: shop}}]\n"
             "clusters: [{name: c, cluster: {" +
                 cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n");
  return path;
}

std::string ApiServer::kubeconfig() const {
  return kubeconfig("server: '" + url() + "', certificate-authority: ca.crt", "tokenFile: token");
}

}  // namespace lockstep::e2e
