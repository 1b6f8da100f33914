/// The broker's sockets and its loop: bytes -> message -> BrokerCore -> actions -> bytes. All in the caller's thread;
/// libzmq adds its one I/O thread and its reaper, however many peers there are.
#pragma once

#include <memory>
#include <string>
#include <zmq.hpp>

#include "broker/broker_config.hpp"
#include "broker/core/broker_core.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

class BrokerShell {
 public:
  /// Binds all endpoints. `stop` is readable when the broker shall end (common/signals.hpp).
  [[nodiscard]] static Result<BrokerShell> create(const BrokerConfig& config, Fd stop);
  /// Serves until `stop`.
  void run();

 private:
  BrokerShell(const BrokerConfig& config, std::unique_ptr<Journal> journal, Fd stop);
  Result<void> bind(const BrokerConfig& config);
  void unlink_sockets();
  void receive();
  void perform();
  void perform(const SendTo& action);
  void perform(const Publish& action);
  void perform(const Archive& action);
  void perform(const LogLine& action);

  Fd stop_;
  zmq::context_t context_{1};
  zmq::socket_t router_;
  zmq::socket_t publisher_;
  std::vector<std::string> socket_files_;  ///< libzmq makes them and leaves them
  std::unique_ptr<Journal> journal_;
  BrokerCore core_;
  Outbox out_;
  std::uint64_t releases_published_ = 0;  ///< numbers on the release topic have no gaps: subscribers look for them
  std::uint64_t statuses_published_ = 0;
};

}  // namespace lockstep::broker
