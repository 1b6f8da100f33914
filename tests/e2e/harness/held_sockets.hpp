/// The other application under test: lockstep-sockets, one process for each member, whose sockets are brought into the
/// states that a test wants.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/harness/cluster.hpp"

namespace lockstep::e2e {

/// One socket, as its process has told last.
struct HeldSocket {
  std::string name;
  std::string state;  ///< open, closed, failed
  std::string error;  ///< "ECONNABORTED"
  std::string local, peer;
  std::uint64_t sent = 0, received = 0;
  std::uint64_t unread = 0, unacknowledged = 0;  ///< in the kernel
  bool end_of_file = false;
  bool corrupt = false;  ///< a byte that was not the next one has come
};

std::ostream& operator<<(std::ostream& out, const HeldSocket& socket);

class HeldSockets {
 public:
  /// Starts it, and waits until it obeys. In the cluster's folder it has `<id>.pid`, as the members of a group need it.
  HeldSockets(const Cluster& cluster, std::string id, const Namespace& pod);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] pid_t pid() const;
  /// Has commands (tests/app/sockets_main.cpp) obeyed; throws when one fails.
  void tell(std::initializer_list<std::string> commands);
  void tell(const std::string& command) { tell({command}); }

  /// Throws when there is none of that name.
  [[nodiscard]] HeldSocket socket(const std::string& name) const;
  /// Until the socket is there and fits. Returns how it was last; nothing: it is not there.
  [[nodiscard]] std::optional<HeldSocket> await(const std::string& name,
                                                const std::function<bool(const HeldSocket&)>& fits,
                                                std::chrono::milliseconds limit = 10s) const;

 private:
  std::filesystem::path dir_;
  std::string id_;
  int told_ = 0;
  std::optional<Process> process_;
};

/// Connects `from`'s socket `name` to a listener of `to`, and sees it accepted there as `accepted`.
void connect(HeldSockets& from, const std::string& name, const std::string& address, const HeldSockets& to,
             const std::string& accepted);

}  // namespace lockstep::e2e
