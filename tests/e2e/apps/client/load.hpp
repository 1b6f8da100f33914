/// A steady load on servers: some connections, each with at most one request under way. Nothing is ever repeated and no
/// connection is made anew, so that whatever does not survive a checkpoint ends the client.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/fd.hpp"
#include "tests/e2e/apps/client/ledger_file.hpp"
#include "tests/e2e/apps/client/protocol.hpp"

namespace lockstep::apps {

struct LoadOptions {
  std::string protocol;
  std::vector<std::string> to;  ///< the connections go to them in turn
  std::uint32_t connections = 1;
  std::uint32_t rate = 0;  ///< requests a second on each connection; 0: one after the other
  std::string ledger;
};

class Load {
 public:
  /// Connects, and waits until every server has answered the greeting. Throws what went wrong.
  explicit Load(const LoadOptions& options);
  /// Until `stop` is set by a signal's handler and every request under way has been answered. Throws when a connection
  /// fails. Returns how many requests were acknowledged, or messages received.
  std::uint64_t run(const volatile int& stop);

 private:
  using Clock = std::chrono::steady_clock;

  struct Connection {
    std::uint32_t number = 0;
    Fd socket;
    std::unique_ptr<Protocol> protocol;
    std::string input, output;
    bool ready = false;
    std::uint32_t sequence = 0;  ///< of the newest request
    bool pending = false;
    Clock::time_point next{};  ///< when the next request is due
  };

  /// Sends what is due, waits until something comes or is due, and takes it in.
  void turn(bool requests);
  void begin_request(Connection& connection, Clock::time_point now);
  void send(Connection& connection);
  void receive(Connection& connection);
  void take(Connection& connection, const Reply& reply);
  [[nodiscard]] bool all_ready() const;
  [[nodiscard]] bool all_answered() const;

  LoadOptions options_;
  LedgerFile ledger_;
  std::vector<Connection> connections_;
  std::uint64_t noted_ = 0;
};

}  // namespace lockstep::apps
