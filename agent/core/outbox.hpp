/// What the agent's core wants sent: its only way out besides PodNetwork.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::agent {

/// A hook's connection, numbered by the shell; never used twice.
using HookId = std::uint64_t;

enum class LogLevel { debug, info, warning };

struct ToBroker {
  Message message;
};

/// To a hook; with `last` the connection is closed when the message is out.
struct ToHook {
  HookId hook;
  Message message;
  bool last = false;
};

/// Tell on_criu_gone() when this process ends, where it can be seen from here. Said again it changes nothing.
struct WatchCriu {
  std::int32_t pid = 0;
  std::uint64_t start = 0;  ///< field 22 of /proc/PID/stat: another process may have the pid by now
};

struct LogLine {
  LogLevel level;
  std::string text;
};

using Action = std::variant<ToBroker, ToHook, WatchCriu, LogLine>;

/// Collects actions in the order in which the shell has to perform them.
class Outbox {
 public:
  void to_broker(Message message) { actions_.emplace_back(ToBroker{std::move(message)}); }
  void to_hook(HookId hook, Message message, bool last) {
    actions_.emplace_back(ToHook{hook, std::move(message), last});
  }
  void watch_criu(std::int32_t pid, std::uint64_t start) { actions_.emplace_back(WatchCriu{pid, start}); }
  void log(LogLevel level, std::string text) { actions_.emplace_back(LogLine{level, std::move(text)}); }

  [[nodiscard]] std::vector<Action> take() { return std::exchange(actions_, {}); }

 private:
  std::vector<Action> actions_;
};

}  // namespace lockstep::agent
