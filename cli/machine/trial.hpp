/// Trying things out in network namespaces of our own, instead of believing what a list says.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cli/criu_process.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::cli {

/// A fresh network namespace, which is gone with its descriptor.
[[nodiscard]] Result<Fd> fresh_netns();

/// A process in a network namespace of its own that holds both ends of an established TCP connection: the least that
/// older CRIUs trip over on newer kernels. Killed with its owner.
class TrialProcess {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TrialProcess>> start();
  TrialProcess(const TrialProcess&) = delete;
  TrialProcess& operator=(const TrialProcess&) = delete;
  ~TrialProcess();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  explicit TrialProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

struct TrialDump {
  ProcessExit exit;
  std::string log;  ///< CRIU's, and what it has printed
};

/// Dumps such a process, leaving it running, with further options for CRIU. The images are thrown away.
[[nodiscard]] Result<TrialDump> try_dump(const std::vector<std::string>& criu, const std::vector<std::string>& options);

}  // namespace lockstep::cli
