/// The way from the hook to an agent: the pod's own, the node's, or a relay that the hook starts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>

#include "agent/hook/hook_environment.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/frame_stream.hpp"
#include "common/result.hpp"
#include "schemas/codec.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook {

/// A child process; waited for by the destructor, which gives it a moment to end by itself and then kills it.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }
  Child& operator=(Child&&) = delete;
  ~Child();

 private:
  pid_t pid_ = 0;
};

class AgentConnection {
 public:
  /// Tries in this order: <socket_dir>/pod-INODE.sock where the inode is known (not 0), <socket_dir>/node.sock, the
  /// sidecar of any other pod (in pre-restore the pod is mostly not known), and a relay (`lockstep-agent --relay` from
  /// the hook's own folder) where a broker's address is configured. A socket that
  /// is absent, or that nobody listens at any more, hands on to the next; one whose owner is neither root nor
  /// ourselves is an Error. unavailable: nobody there, with what was looked for and what to do.
  [[nodiscard]] static Result<AgentConnection> open(const Settings& settings, std::uint64_t pod_inode);

  /// A relay, whatever agents there are. invalid where no broker's address is configured.
  [[nodiscard]] static Result<AgentConnection> open_relay(const Settings& settings);

  /// Sends a message whole, or fails (timeout, unavailable, or invalid: larger than a frame may be).
  [[nodiscard]] Result<void> send(const Message& message, TimePoint deadline);
  /// The next message. timeout; unavailable: the agent has gone; invalid: what came can't be understood.
  [[nodiscard]] Result<Message> receive(TimePoint deadline);

 private:
  AgentConnection(Fd socket, Child relay, std::string peer)
      : relay_(std::move(relay)), socket_(std::move(socket)), peer_(std::move(peer)) {}
  [[nodiscard]] static Result<AgentConnection> start_relay(const Settings& settings);
  [[nodiscard]] Result<void> fill(TimePoint deadline);

  Child relay_;  ///< above socket_, so that the socket is closed first: that is what ends the relay
  Fd socket_;
  std::string peer_;  ///< for messages: "the agent", or which relay
  FrameReader reader_{kMaxFrame};
  std::deque<std::string> frames_;
  bool closed_ = false;
};

}  // namespace lockstep::hook
