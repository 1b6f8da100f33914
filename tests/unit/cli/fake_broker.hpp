/// A broker that says what a test wants: a ROUTER and a PUB in a thread of its own, over ipc in the test's folder.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "schemas/messages.hpp"

namespace lockstep::cli {

class FakeBroker {
 public:
  struct Answers {
    std::vector<Message> reply;    ///< to whoever has asked
    std::vector<Message> publish;  ///< on the status topic
  };
  /// Called in the broker's thread for each message.
  using Handler = std::function<void(const Message& question, Answers& answers)>;

  FakeBroker(const std::string& folder, Handler handler);
  ~FakeBroker();

  [[nodiscard]] std::string broker() const { return endpoint_; }
  [[nodiscard]] std::string releases() const { return endpoint_ + ".pub"; }
  /// From now on it neither reads nor answers.
  void fall_silent() { silent_ = true; }
  /// What it has been told so far.
  [[nodiscard]] std::vector<Message> seen() const;

 private:
  void run();

  std::string endpoint_;
  Handler handler_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> silent_{false};
  std::atomic<bool> ready_{false};
  mutable std::mutex mutex_;
  std::vector<Message> seen_;
  std::thread thread_;
};

/// An answer to `question`.
[[nodiscard]] Message answer_to(const Message& question, Body body);

/// Enough of a broker's mind to see one round through: it is complete when all members' CRIUs have ended well, and
/// aborted by the first that has not, or by AbortRound.
class FakeRound {
 public:
  void handle(const Message& question, FakeBroker::Answers& answers);
  bool forgotten = false;       ///< answers as if restarted: does not know the round
  bool say_hello_once = false;  ///< answers the next message with Refused{say_hello}
  bool publishes = false;       ///< tells news on PUB only; GetRound is not answered
  bool ignores_first_result = false;
  bool holds = false;           ///< wants the commands at the frozen point, until all members have reported
  bool arrived = false;         ///< tells that all members have come
  bool dumping = false;         ///< tells that all members stand still, and are being dumped
  bool forgets_times = false;   ///< tells of phases that have passed, until it aborts: as if restarted in between

 private:
  RoundStatus status_;
};

}  // namespace lockstep::cli
