/// A real lockstep-broker on free ports of 127.0.0.1, with a configuration file and a log in a folder of its own.
#pragma once

#include <cstdint>
#include <string>

#include "tests/bench/child.hpp"
#include "tests/e2e/harness/files.hpp"

namespace lockstep::bench {

class BrokerProcess {
 public:
  /// Starts it, and waits until it listens.
  BrokerProcess();

  [[nodiscard]] std::uint16_t router_port() const { return router_port_; }
  [[nodiscard]] std::uint16_t publisher_port() const { return publisher_port_; }
  [[nodiscard]] pid_t pid() const { return child_.pid(); }
  /// The last lines of its log, to explain a failure.
  [[nodiscard]] std::string log_tail() const;

 private:
  e2e::TempDir dir_;
  std::uint16_t router_port_;
  std::uint16_t publisher_port_;
  Child child_;
};

}  // namespace lockstep::bench
