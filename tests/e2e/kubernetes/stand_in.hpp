/// A cluster for the tests: api_server.py with the certificates and tokens that it needs, and cgroups that make
/// containers of processes, as far as the hook looks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::e2e {

/// Puts a process into a cgroup that is called like a container's of containerd's. Removed with its owner.
class ContainerCgroup {
 public:
  ContainerCgroup(const std::string& pod_uid, const std::string& container_id);
  ~ContainerCgroup();
  ContainerCgroup(const ContainerCgroup&) = delete;
  ContainerCgroup& operator=(const ContainerCgroup&) = delete;
  void take(pid_t pid) const;

 private:
  std::filesystem::path slice_;
  std::filesystem::path scope_;
};

/// A Pod with one container, in namespace `shop`.
struct Pod {
  std::string name;
  std::string node;
  std::string container;
  pid_t pid = 0;
  std::string more = {};   ///< further members of its JSON
  std::string state = {};  ///< the container's, where it does not run
  /// 64 hexadecimal digits, another one for each name.
  [[nodiscard]] std::string container_id() const;
  [[nodiscard]] std::string uid() const;
};

inline const std::string kToken = "eyJhbGciOiJSUzI1NiJ9.lockstep-operator.c2VjcmV0";
inline const std::string kWeakToken = "eyJhbGciOiJSUzI1NiJ9.somebody.c2VjcmV0";

class ApiServer {
 public:
  /// `dir`: its folder, made here. `socket_dir`: where hooks find their agents.
  ApiServer(std::filesystem::path dir, const std::vector<Pod>& pods, const std::string& socket_dir);

  [[nodiscard]] const std::filesystem::path& dir() const { return dir_; }
  [[nodiscard]] std::string port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const { return "https://" + host + ":" + port_; }
  [[nodiscard]] std::filesystem::path authority() const { return dir_ / "ca.crt"; }
  /// Another one, which has signed nothing.
  [[nodiscard]] std::filesystem::path strange_authority() const { return dir_ / "other.crt"; }
  [[nodiscard]] std::filesystem::path client(const std::string& kind) const { return dir_ / ("client." + kind); }

  /// See api_server.py; empty: none.
  void spoil(const std::string& fault_json) const;
  /// What it has been asked so far, a line for each request.
  [[nodiscard]] std::vector<std::string> requests() const;
  void forget_requests() const;
  void stop() { process_->kill(); }

  /// Writes a kubeconfig and returns its path. `cluster`, `user`: the sections' text, in YAML's flow style.
  [[nodiscard]] std::string kubeconfig(const std::string& cluster, const std::string& user) const;
  /// The one that is right: CA file, token file.
  [[nodiscard]] std::string kubeconfig() const;

 private:
  void make_certificates() const;
  void write_settings(const std::vector<Pod>& pods, const std::string& socket_dir) const;

  std::filesystem::path dir_;
  std::optional<Process> process_;
  std::string port_;
};

}  // namespace lockstep::e2e
