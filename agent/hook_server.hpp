/// The unix socket on which hooks reach the agent, and their connections. One thread; nothing here waits.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/outbox.hpp"
#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/frame_stream.hpp"
#include "common/result.hpp"
#include "schemas/codec.hpp"

namespace lockstep::agent {

/// What a hook's connection has brought.
struct HookInput {
  HookId hook = 0;
  std::vector<Message> messages;
  bool closed = false;         ///< after these messages the hook was gone, or not to be understood any more
  std::string problem;         ///< why, where it was not a plain end
};

class HookServer {
 public:
  /// Listens at `path`, for root, ourselves, and the members of `group` where one is named. A socket file that nobody answers at is a dead agent's, and is
  /// replaced; a living one is a conflict. The file goes away with the server.
  [[nodiscard]] static Result<HookServer> listen(const std::string& path, const std::string& group = {});
  /// Serves one connection that is open already (a relay's), and accepts no others.
  [[nodiscard]] static Result<HookServer> adopt(Fd connection);

  HookServer(HookServer&&) = default;
  HookServer& operator=(HookServer&&) = default;
  ~HookServer();

  /// Descriptors to poll, in an order that on_ready() understands: a listener (-1 where there is none), then the
  /// connections, which want to write as well when `wants_write` says so.
  struct Interest {
    int fd = -1;
    HookId hook = 0;           ///< 0: the listener
    bool wants_write = false;
  };
  [[nodiscard]] std::vector<Interest> interests() const;

  /// Takes in who has connected. Returns why some were not let in.
  std::vector<std::string> accept_all();
  [[nodiscard]] HookInput read(HookId hook);
  /// Queues a message; with `last` the connection is closed once it is out. An unknown hook is no error: it has gone.
  void send(HookId hook, const Message& message, bool last);
  /// Goes on writing to a connection that has room again.
  void flush(HookId hook);
  /// Ends connections that have not brought a whole message in time: the first one, or one that they have begun.
  /// read() tells their end.
  void break_off_slow(TimePoint now);
  void drop(HookId hook) { connections_.erase(hook); }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    Fd fd;
    FrameReader reader{kMaxFrame};
    FrameWriter writer{2 * kMaxFrame};
    bool closing = false;
    bool has_spoken = false;    ///< a whole message has come
    TimePoint last_message;     ///< or when it was accepted
  };

  HookServer() = default;
  [[nodiscard]] Result<void> open_to(const std::string& group);
  /// Why the process at the other end may not speak to us, or nothing.
  [[nodiscard]] std::optional<std::string> objection(int connection) const;
  void add(Fd connection);
  [[nodiscard]] bool make_room();
  void break_off(Connection& connection);

  Fd listener_;
  Fd reserve_;                 ///< given up for a moment to turn a connection away when there are no descriptors left
  std::string path_;
  std::optional<gid_t> group_;
  std::map<HookId, Connection> connections_;
  HookId next_ = 1;
};

}  // namespace lockstep::agent
