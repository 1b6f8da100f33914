/// A real lockstep-broker on free ports of 127.0.0.1, with a configuration file and a log in a folder of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/key_files.hpp"
#include "tests/bench/child.hpp"
#include "tests/e2e/harness/files.hpp"

namespace lockstep::bench {

class BrokerProcess {
 public:
  /// Starts it, and waits until it listens. Encrypted: with keys, and so for peers with keys alone.
  explicit BrokerProcess(bool encrypted = false);

  [[nodiscard]] std::uint16_t router_port() const { return router_port_; }
  [[nodiscard]] std::uint16_t publisher_port() const { return publisher_port_; }
  [[nodiscard]] pid_t pid() const { return child_->pid(); }
  /// Keys that it takes; null where it is not encrypted.
  [[nodiscard]] const PeerKey* operator_key() const { return operator_ ? &*operator_ : nullptr; }
  [[nodiscard]] const PeerKey* agent_key() const { return agent_ ? &*agent_ : nullptr; }
  /// The last lines of its log, to explain a failure.
  [[nodiscard]] std::string log_tail() const;

 private:
  void make_keys();

  e2e::TempDir dir_;
  std::optional<PeerKey> operator_;
  std::optional<PeerKey> agent_;
  std::uint16_t router_port_;
  std::uint16_t publisher_port_;
  std::optional<Child> child_;
};

}  // namespace lockstep::bench
