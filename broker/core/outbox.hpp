/// What the broker's core wants done: the only way out of it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::broker {

/// A peer's routing id on the ROUTER socket: bytes, not for people.
using PeerId = Name<struct PeerTag>;

enum class LogLevel { debug, info, warning };

/// Send over ROUTER to one peer.
struct SendTo {
  PeerId peer;
  Message message;
};

/// Publish to all subscribers of a topic. The shell numbers publications.
struct Publish {
  std::string_view topic;  ///< kReleaseTopic or kStatusTopic
  Message message;
};

/// Put a round's last word, a RoundStatus, into the journal. Not before what members wait for has been sent.
struct Archive {
  Message status;
};

struct LogLine {
  LogLevel level;
  std::string text;
};

using Action = std::variant<SendTo, Publish, Archive, LogLine>;

/// Collects actions in the order in which the shell has to perform them.
class Outbox {
 public:
  void send(PeerId peer, Message message) { actions_.emplace_back(SendTo{std::move(peer), std::move(message)}); }
  void publish(std::string_view topic, Message message) { actions_.emplace_back(Publish{topic, std::move(message)}); }
  void archive(Message status) { actions_.emplace_back(Archive{std::move(status)}); }
  void log(LogLevel level, std::string text) { actions_.emplace_back(LogLine{level, std::move(text)}); }

  [[nodiscard]] std::vector<Action> take() { return std::exchange(actions_, {}); }

 private:
  std::vector<Action> actions_;
};

}  // namespace lockstep::broker
