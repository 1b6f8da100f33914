/// The agent's sockets and its loop: hooks' and broker's bytes -> messages -> AgentCore -> actions -> bytes. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "agent/agent_config.hpp"
#include "agent/core/agent_core.hpp"
#include "agent/hook_server.hpp"
#include "agent/pods.hpp"
#include "common/broker_connection.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace lockstep::agent {

/// A CRIU that is seen through its pidfd.
struct CriuWatch {
  std::int32_t pid = 0;
  std::uint64_t start = 0;
  Fd pidfd;
};

/// What an agent finds of a former life.
struct LeftLock;

class AgentShell {
 public:
  /// Connects, prepares the own pod (scope self), and listens for hooks. `stop` is readable when the agent shall end
  /// (common/signals.hpp); `hook` is the one connection of a relay, else empty.
  [[nodiscard]] static Result<std::unique_ptr<AgentShell>> create(const AgentConfig& config, Fd stop, Fd hook);
  /// Serves until `stop`; a relay until its hook has gone. Leaves no lock behind but those that only a lease may end: of
  /// what is undecided, or not gone yet (AgentCore::shut_down()).
  void run();

 private:
  AgentShell(const AgentConfig& config, Fd stop, std::unique_ptr<Pods> pods, HookServer hooks, CoreSettings settings);
  Result<void> connect(const AgentConfig& config);
  /// Keeps the pods locked that a former life has left so, and tells the core of them.
  void take_over(const std::vector<LeftLock>& left);
  Result<void> connect_one(zmq::socket_t& socket, const std::string& endpoint);
  void tell_failed_handshakes();
  void poll_once();
  void serve_hook(const HookServer::Interest& interest, short revents);
  void receive_from_broker();
  void receive_releases();
  void perform();
  void perform(const ToBroker& action);
  void perform(const ToHook& action);
  void perform(const WatchCriu& action);
  void perform(const LogLine& action);
  void take_criu_ends();

  Scope scope_;
  Fd stop_;
  bool stopping_ = false;
  zmq::context_t context_{1};
  std::string broker_;
  std::optional<PeerKey> key_;
  zmq::socket_t dealer_;
  zmq::socket_t subscriber_;
  HandshakeWatch handshakes_;   ///< at dealer_
  TimePoint tell_handshakes_;   ///< not before
  std::unique_ptr<Pods> pods_;
  HookServer hooks_;
  AgentCore core_;
  Outbox out_;
  std::vector<CriuWatch> criu_watches_;
};

}  // namespace lockstep::agent
