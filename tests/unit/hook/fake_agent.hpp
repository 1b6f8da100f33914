/// An agent by script: listens on a unix socket in a thread and plays one scene with the first hook that comes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/fd.hpp"
#include "common/frame_stream.hpp"
#include "schemas/codec.hpp"
#include "schemas/messages.hpp"

namespace lockstep::hook::test {

/// The hook's end of the talk, as the scene sees it.
class HookPeer {
 public:
  explicit HookPeer(Fd socket) : socket_(std::move(socket)) {}

  /// The hook's next message; nothing when it has closed the connection, or said nothing for 10 s.
  [[nodiscard]] std::optional<Message> next();
  /// The hook's next message when it is a T.
  template <class T>
  [[nodiscard]] std::optional<T> next_body() {
    const auto message = next();
    const T* body = message ? std::get_if<T>(&message->body) : nullptr;
    return body != nullptr ? std::optional<T>(*body) : std::nullopt;
  }
  void say(Body body);
  void say_raw(std::string_view bytes);
  /// Waits until the hook has closed its end.
  [[nodiscard]] bool closed() { return !next(); }

 private:
  Fd socket_;
  FrameReader reader_{kMaxFrame};
  std::vector<std::string> frames_;
  std::uint64_t sequence_ = 0;
};

class FakeAgent {
 public:
  using Scene = std::function<void(HookPeer&)>;

  /// Listens from the constructor on, so that a hook started after it finds it.
  FakeAgent(const std::string& path, Scene scene);
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;
  /// Waits for the end of the scene; without a hook there is none.
  ~FakeAgent();

 private:
  Fd listener_;
  Fd stop_;
  std::thread thread_;
};

/// A socket file that nobody listens at any more.
void leave_stale_socket(const std::string& path);

}  // namespace lockstep::hook::test
