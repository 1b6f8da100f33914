/// The broker's sockets and its loop: bytes -> message, and who has sent it (Gate) -> BrokerCore -> actions -> bytes.
/// All in the caller's thread; libzmq adds its one I/O thread and its reaper, however many peers there are.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "broker/broker_config.hpp"
#include "broker/connection_limit.hpp"
#include "broker/core/broker_core.hpp"
#include "broker/gate.hpp"
#include "broker/groups_file.hpp"
#include "broker/publisher.hpp"
#include "common/fd.hpp"
#include "common/handshake_watch.hpp"
#include "common/result.hpp"

namespace lockstep::broker {

class BrokerShell {
 public:
  /// Binds all endpoints. `stop` is readable when the broker shall end (common/signals.hpp), `hangup` when it shall read
  /// its lists again; that one may be none.
  [[nodiscard]] static Result<BrokerShell> create(const BrokerConfig& config, Fd stop, Fd hangup = Fd());
  /// Serves until `stop`.
  void run();

 private:
  BrokerShell(const BrokerConfig& config, std::unique_ptr<Journal> journal, Fd stop);
  Result<void> bind(const BrokerConfig& config);
  Result<void> bind_one(zmq::socket_t* router, const std::string& text);
  void poll_once();
  void read_keys_again();
  void read_groups_again();
  /// What the watch has to tell: handshakes that failed, and that there is no room for more connections.
  void hear(HandshakeWatch& watch);
  void unlink_sockets();
  void receive();
  void perform();
  void perform(const SendTo& action);
  void perform(const Publish& action);
  void perform(const Archive& action);
  void perform(const LogLine& action);

  Fd stop_;
  Fd hangup_;
  std::optional<GroupsFile> groups_;
  std::unique_ptr<zmq::context_t> context_ = std::make_unique<zmq::context_t>(1);  ///< its place is known to others
  zmq::socket_t router_;
  std::optional<Gate> gate_;
  HandshakeWatch handshakes_;  ///< at router_
  std::optional<Publisher> publisher_;
  std::unique_ptr<ConnectionLimit> connections_ = std::make_unique<ConnectionLimit>();
  std::vector<std::string> socket_files_;  ///< libzmq makes them and leaves them
  std::unique_ptr<Journal> journal_;
  BrokerCore core_;
  Outbox out_;
  mode_t socket_mask_ = 0177;
  bool stopping_ = false;
  std::uint64_t releases_published_ = 0;  ///< numbers on the release topic have no gaps: subscribers look for them
  std::uint64_t statuses_published_ = 0;
};

}  // namespace lockstep::broker
