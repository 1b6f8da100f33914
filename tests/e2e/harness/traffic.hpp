/// The application under test: lockstep-traffic's server in one pod, clients in others.
#pragma once

#include <string>
#include <vector>

#include "tests/app/check.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::e2e {

struct TrafficOptions {
  std::size_t server_pod = 0;
  std::vector<std::size_t> client_pods = {1};
  int connections = 2;      ///< of each client, over IPv4, and as many over IPv6
  int rate = 0;             ///< messages a second on each connection; 0: as fast as they can
  bool dual_stack = false;  ///< the server sees IPv4 clients by mapped addresses
  bool own_names = false;   ///< each process is called as its member is
  int ballast_mib = 0;      ///< memory that makes the server's dump last
};

class Traffic {
 public:
  /// Starts it, and waits until it flows. `dir`: for its status files, pidfiles and logs.
  Traffic(std::filesystem::path dir, const Network& network, const TrafficOptions& options);

  /// "server", "client0", "client1", …: their pidfiles are `<id>.pid` in the folder.
  [[nodiscard]] const std::vector<std::string>& members() const { return members_; }
  [[nodiscard]] std::vector<GroupMember> group() const;
  [[nodiscard]] pid_t pid_of(const std::string& member) const;
  [[nodiscard]] std::size_t connections() const;

  /// Throws when a status file can't be read.
  [[nodiscard]] traffic::Snapshot snapshot() const;
  /// Until each end of each connection has received so many more messages than in `before` that they can't all have
  /// been under way then, nothing being wrong. Returns what is wrong, or still missing after `limit`: empty when all is
  /// well.
  [[nodiscard]] std::vector<std::string> await_flow(const traffic::Snapshot& before,
                                                    std::chrono::milliseconds limit = 10s) const;
  /// Has all clients say goodbye, and compares what was sent and received to the last message. As await_flow().
  [[nodiscard]] std::vector<std::string> finish() const;
  /// Until no member's process is there any more.
  [[nodiscard]] bool await_gone(const std::vector<pid_t>& pids) const;
  [[nodiscard]] std::vector<pid_t> pids() const;

 private:
  void start(const std::string& member, std::size_t pod, std::vector<std::string> arguments);

  std::filesystem::path dir_;
  const Network& network_;
  TrafficOptions options_;
  std::vector<std::string> members_;
  std::vector<Process> processes_;
};

}  // namespace lockstep::e2e
